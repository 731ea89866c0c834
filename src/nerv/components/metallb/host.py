"""What MetalLB asks of every node: speakers elect who answers for an address over memberlist (7946)."""

from __future__ import annotations

from nerv.components.site import Host

HOST = Host(tcp_ports=(7472, 7946), udp_ports=(7946,), pod_ports=(7472,))
