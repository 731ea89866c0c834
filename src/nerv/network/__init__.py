"""The cluster's network on this machine: address table, relay, services, DNS, publishing.

Belongs here: where something really listens, known to this room alone. Not: pods' life cycle (node/), Kubernetes
rules of Services (kube/).
"""
