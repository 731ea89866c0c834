"""Turn sources into objects: kustomize, helm, sops, git.

Belongs here: in-process builders and thin wrappers of the real programs. Not: reconciling, conditions, the API.
"""
