"""What Flux asks of every node: git and flux, to look."""

from __future__ import annotations

from nerv.components.site import Host

HOST = Host(packages=("fluxcd", "git"))
