"""What Flux asks of every node: git and flux on the servers, to bootstrap and to look."""

from __future__ import annotations

from nerv.components.site import Host

HOST = Host(packages=("fluxcd", "git"))
