"""What Kubernetes is, without a server: objects, selectors, patches, field ownership, schemas, CEL, kstatus; a client.

Belongs here: pure rules of the Kubernetes API, and `client`, the one way to speak to any API server. Not: a server
(apiserver/), reconcilers (controllers/), anything about NERV's definition.
"""
