"""Web pages over operations.

Belongs here: pages and their session. Not: facts of its own; it shows what operations and the Kubernetes API say.
"""
