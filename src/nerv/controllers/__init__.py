"""Reconcilers over the Kubernetes API alone: kubernetes/, flux/, services/, on one runtime.

Belongs here: what a controller manager does. Not: the API server's store, pods' processes, NERV's definition.
"""
