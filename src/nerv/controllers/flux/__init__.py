"""Flux 2.6 in process: source-controller, kustomize-controller, helm-controller, notification of events.

Belongs here: the API groups and semantics of Flux, exactly as its controllers show them. Not: how sources are built
(builders), who serves them (mirror).
"""
