"""The seam between a platform and what provides its Kubernetes API.

An engine is started with an EngineConfig and answers with an Endpoint. Everything above (nodes, network, mirror,
services, console, operations) speaks to the Kubernetes API alone. `programs` are executables that the engine wants
its pods' images to run as; `reconcilers` is what of controllers/{kubernetes,flux} runs in this process.
"""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nerv.certificates import KeyPair
from nerv.controllers.runtime.controller import Controller
from nerv.controllers.runtime.informer import Informers
from nerv.controllers.serving import Exposure
from nerv.engines.ports import HeldPort
from nerv.kube.client import Client
from nerv.node.programs import ProcessProgram

Dial = Callable[[str, int], Awaitable[tuple[StreamReader, StreamWriter]]]


@dataclass(frozen=True)
class EngineConfig:
    """What an engine is given. Folders exist and are private to the user."""

    state: Path
    """the engine's own folder below `.nerv/`"""
    logs: Path
    """where programs write what they say"""
    run_folder: Path
    """short folder for unix sockets"""
    port: HeldPort
    """loopback port of the API server, which shares it with its holder"""
    ca: KeyPair
    serving: KeyPair
    admin: KeyPair
    kubelet_client: KeyPair
    service_account_key: str
    pod_cidr: str
    service_cidr: str
    cluster_domain: str
    egress_socket: Path
    """HTTP CONNECT over a unix socket: how the API server reaches cluster addresses"""
    dial: Dial
    """the same for an API server in this process"""
    outside_socket: Path
    """HTTP CONNECT over a unix socket: where URLs of webhooks lead, inside the cluster or out of it"""
    dial_outside: Dial
    """the same for an API server in this process"""
    on_failing: Callable[[tuple[str, ...]], None] = lambda lines: None
    """told what provides the API and does not keep running, one line each, whenever that changes; does not raise"""
    admission: Mapping[str, Any] = field(default_factory=dict)
    """AdmissionConfiguration, the same that API servers of real machines are given; empty: Kubernetes' own"""


@dataclass(frozen=True)
class Endpoint:
    """Where the API server listens: on loopback for people, on a unix socket for the relay (both TLS)."""

    url: str
    unix: Path


@dataclass(frozen=True)
class ReconcilerConfig:
    """What the engine's own reconcilers need from outside the cluster."""

    artifacts: Path
    proxy_url: str = field(repr=False)
    """with the login that the proxy asks for"""
    ca_file: Path
    kubeconfig: Path
    exposure: Exposure
    """how servers of reconcilers are reached inside the cluster"""


class Engine(Protocol):
    """One way to have a Kubernetes API."""

    name: str

    def check(self) -> None:
        """Raise NervError when it cannot run here, before anything is started."""
        ...

    async def start(self, config: EngineConfig) -> Endpoint:
        """Returns when the API server answers. Raises NervError."""
        ...

    async def stop(self) -> None:
        """Ends everything that `start` began; what was acknowledged is on disk."""
        ...

    def client(self, user: str, groups: tuple[str, ...]) -> Client:
        """A client with an identity of its own."""
        ...

    def reconcilers(self, informers: Informers, config: ReconcilerConfig) -> tuple[Controller, ...]:
        """What runs in this process; empty where real controllers run."""
        ...

    def programs(self, ca_file: Path) -> Mapping[str, ProcessProgram]:
        """By image name, for pods that are this engine's own processes; they trust the authorities in `ca_file`."""
        ...

    def versions(self) -> Mapping[str, str]:
        """What provides the API, by name."""
        ...
