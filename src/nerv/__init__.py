"""NERV: a NixOS-based Kubernetes GitOps platform, kept as one typed file and run by one Python program.

ARCHITECTURE.md is the map. The layers below are held by import-linter (`.importlinter`).
"""

__version__ = "0.1.0"
