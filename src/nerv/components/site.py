"""What a room is told of the platform beyond its own settings, and the values in which it says what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from nerv.platform.models import BasePlatform


@dataclass(frozen=True)
class Site:
    """The platform around a room."""

    platform: BasePlatform
    load_balancer_address: IPv4Address
    """Where web traffic comes in."""
    issuer: str
    """ClusterIssuer of the dashboards' certificates."""
    certificate_duration: str
    """Life of a dashboard's certificate."""


@dataclass(frozen=True)
class Host:
    """What a component asks of the operating system of every node."""

    tcp_ports: tuple[int, ...] = ()
    """Open between nodes."""
    udp_ports: tuple[int, ...] = ()
    """Open between nodes."""
    pod_ports: tuple[int, ...] = ()
    """TCP ports of the host that pods on it may reach: metrics of what runs in the host's network."""
    packages: tuple[str, ...] = ()
    """Attributes of nixpkgs."""
    kernel_modules: tuple[str, ...] = ()
    """Loaded at boot."""
    filesystems: tuple[str, ...] = ()
    """File systems that can be mounted."""
    services: tuple[str, ...] = ()
    """NixOS services that are enabled."""
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links: path and what it points to."""


@dataclass(frozen=True)
class Program:
    """Who does the work of an image's pods on this machine.

    `process`: the named program runs in the pod; `embedded`: a reconciler of NERV does the work; every other image
    is simulated.
    """

    image: str
    """Image name without registry and tag."""
    runtime: Literal["process", "embedded"]
    name: str
    """Program (process) or part of NERV (embedded)."""
    ports: tuple[int, ...] = ()
    """Ports of the container that really answer."""


@dataclass(frozen=True)
class Route:
    """A connection between pods that the platform needs; network policies must let it pass."""

    why: str
    namespace: str
    """Of the pods that are reached."""
    labels: tuple[tuple[str, str], ...]
    """Labels of the pods that are reached."""
    port: int | str
    """Container port."""
    source_namespace: str | None
    """Namespace it comes from; None: from outside the pods' network (nodes, API server, clients)."""
    source_labels: tuple[tuple[str, str], ...] = ()
    """Labels of the pods it comes from."""
