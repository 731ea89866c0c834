"""Room of cert_manager: see README.md beside this file."""
