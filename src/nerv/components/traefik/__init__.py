"""Room of traefik: see README.md beside this file."""
