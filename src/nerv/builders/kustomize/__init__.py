"""Kustomizations built as kustomize-controller does: plain ones in process, the others by the real kustomize.

Belongs here: from a folder of sources to objects, substitution included. Not: applying them, decryption keys, the API.
"""

from nerv.builders.kustomize.building import build, kubectl
from nerv.builders.kustomize.errors import BuildError, PathError
from nerv.builders.kustomize.overlay import Overlay
from nerv.builders.kustomize.sources import Sources

__all__ = ["BuildError", "Overlay", "PathError", "Sources", "build", "kubectl"]
