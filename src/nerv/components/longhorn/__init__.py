"""Room of longhorn: see README.md beside this file."""
