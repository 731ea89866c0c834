"""What provides the Kubernetes API and its controllers: `protocol` is the seam, `embedded` our own rooms.

Belongs here: starting, stopping and describing an engine. Not: nodes, network, mirror, services (the same on all).
"""
