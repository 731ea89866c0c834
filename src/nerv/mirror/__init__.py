"""The outside world inside: Git repositories and chart repositories under their public names.

Belongs here: serving the platform's repository and charts, and noticing commits. Not: Flux's reconcilers.
"""
