"""Webhooks that components serve at their pods' addresses: TLS of the component's own authority, over unix sockets.

Belongs here: serving, the AdmissionReview and ConversionReview protocols, certificates in Secrets, CA bundles.
Not: what a component refuses or changes.
"""
