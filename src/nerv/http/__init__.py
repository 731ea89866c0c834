"""HTTP/1.1 servers: a raw asyncio protocol on httptools, used by the API server, kubelets, webhooks and the mirror.

Belongs here: the wire. Not: what any server answers.
"""
