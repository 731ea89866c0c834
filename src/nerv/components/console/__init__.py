"""Room of console: see README.md beside this file."""
