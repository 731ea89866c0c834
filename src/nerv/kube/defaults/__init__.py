"""Defaults of builtin kinds: what the API server of Kubernetes 1.31 fills in before it validates.

`fill` runs on every write; `begin` once, when an object is created (the first status, what is derived from the uid).
Belongs here: constants and copies from the object itself. Not: what needs other objects (addresses, tokens, admission).
"""

from nerv.kube.defaults.creation import begin
from nerv.kube.defaults.kinds import fill

__all__ = ["begin", "fill"]
