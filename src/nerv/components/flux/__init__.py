"""Room of flux: see README.md beside this file."""
