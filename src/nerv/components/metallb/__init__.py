"""Room of metallb: see README.md beside this file."""
