"""What every part of a node is given, in one value."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nerv.certificates import KeyPair
from nerv.kube.client import Client
from nerv.kube.objects import Object, timestamp
from nerv.network.driver import Network
from nerv.network.informing import Informers
from nerv.node.programs import Programs

Sleep = Callable[[float], Awaitable[None]]


class Clock(Protocol):
    """The wall clock, aware and in UTC."""

    def now(self) -> datetime.datetime: ...


class Recorder(Protocol):
    """Records Kubernetes events."""

    def event(self, obj: Object, type: str, reason: str, message: str) -> None:
        """`reason` happened to `obj`; `type` is Normal or Warning."""
        ...


class Registry(Protocol):
    """Where a part of NERV that listens on a unix socket gets a cluster address (`network.services.ServiceTable`)."""

    async def register(self, address: str, port: int, unix_path: Path) -> None: ...

    async def unregister(self, address: str, port: int) -> None: ...


@dataclass(frozen=True)
class NodeConfig:
    """One machine of the cluster. Memory in bytes; times in seconds, with the kubelet's defaults."""

    name: str
    address: str
    folder: Path
    """What the node keeps: volumes, logs, made 0700."""
    claims: Path
    """Where the data of claimed volumes lies, one folder for each PersistentVolume; shared by all nodes."""
    run_folder: Path
    """For its unix socket: a short path, 0700."""
    pod_cidr: str = "10.42.0.0/24"
    roles: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    version: str = "v1.31.9+k3s1"
    os_image: str = "NixOS 25.05 (on this machine)"
    cpus: int = 4
    memory: int = 8 << 30
    storage: int = 64 << 30
    max_pods: int = 110
    api_address: str = "10.43.0.1"
    api_port: int = 443
    ca_certificate: str = ""
    """What pods verify the API server with, should kube-root-ca.crt not be there yet."""
    hidden: tuple[Path, ...] = ()
    """Folders of this machine that no program in a pod may see, beside the homes and NERV's own."""
    visible: tuple[Path, ...] = ()
    """Folders below those that programs need all the same, beside Python's and NERV's code."""
    serving: KeyPair | None = None
    """Of the kubelet API; without one it is not served."""
    client_ca: str = ""
    """PEM: whose client certificates the kubelet API accepts."""
    lease_seconds: int = 40
    status_interval: float = 300.0
    first_back_off: float = 10.0
    last_back_off: float = 300.0


@dataclass(frozen=True)
class NodeContext:
    """The client speaks as this node (or as an administrator)."""

    config: NodeConfig
    client: Client
    informers: Informers
    network: Network
    registry: Registry
    programs: Programs
    events: Recorder
    clock: Clock
    sleep: Sleep

    def timestamp(self) -> str:
        """The present moment as Kubernetes writes it."""
        return timestamp(self.clock.now())
