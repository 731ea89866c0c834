"""Where the platform's repository is hosted: GitHub over its REST API, any other server over Git alone.

Belongs here: making or adopting the repository, pushing to it, deploy key, webhook, and who may do so. Not: the
cluster (deploy/flux.py), what the repository holds (rendering), the keys of an operator (operations).
"""
