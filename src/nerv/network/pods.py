"""Network namespaces of pods, made inside the relay: a veth pair to the bridge, an address, a default route."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from nerv.network import syscalls
from nerv.network.netlink import Netlink, hardware_address

BRIDGE = "cni0"
_OWN_NAMESPACE = "/proc/self/ns/net"


class PodLink(NamedTuple):
    """A pod's network namespace, held open by `descriptor`, and its link `device` on the bridge."""

    descriptor: int
    device: str
    address: str


def add(cluster: Netlink, device: str, address: str, prefix: int, gateway: str) -> PodLink:
    """Make the namespace. The relay enters it for the few calls and comes back; it is single-threaded."""
    home = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            descriptor = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            _configure(device, home, address, prefix, gateway)
        finally:
            syscalls.enter(home, syscalls.CLONE_NEWNET)
    finally:
        os.close(home)
    cluster.set_master(device, BRIDGE)
    cluster.set_up(device)
    cluster.add_neighbour_route(address, BRIDGE, gateway)
    return PodLink(descriptor, device, address)


def _configure(device: str, cluster_namespace: int, address: str, prefix: int, gateway: str) -> None:
    # Container runtimes let a pod bind any port without capabilities; pods here drop all of them.
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    pod = Netlink()
    try:
        pod.set_up("lo")
        pod.add_veth("eth0", hardware_address(address), device, cluster_namespace)
        pod.add_address("eth0", address, prefix)
        pod.set_up("eth0")
        pod.add_default_route(gateway)
    finally:
        pod.close()


def remove(cluster: Netlink, link: PodLink) -> None:
    """Let go of the namespace. The link goes first, so that the address is free even while a process lingers."""
    with contextlib.suppress(OSError):
        cluster.delete_neighbour_route(link.address, BRIDGE)
    with contextlib.suppress(OSError):
        cluster.delete_link(link.device)
    os.close(link.descriptor)
