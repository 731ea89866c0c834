"""What Traefik asks of every node: nothing; kube-proxy takes its traffic in before the firewall of the node sees it."""

from __future__ import annotations

from nerv.components.site import Host

HOST = Host()
