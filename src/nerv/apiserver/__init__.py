"""The Kubernetes API: store, watch, discovery, OpenAPI, CRDs, admission, authentication, authorization, audit.

Belongs here: what kube-apiserver does. The request chain is one readable list. Not: controllers of any kind.
"""
