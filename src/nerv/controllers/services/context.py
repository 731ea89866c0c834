"""What every part of this room is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nerv.controllers.runtime import Clock, EventRecorder, Informers, SystemClock, Writer
from nerv.controllers.serving import Register, Unregister
from nerv.kube.client import Client
from nerv.kube.objects import timestamp

ClientFor = Callable[[str, tuple[str, ...]], Client]
"""A client that acts as a user with groups."""


@dataclass(frozen=True)
class ServicesConfig:
    """What the room is told from outside."""

    run_folder: Path
    """For the webhooks' unix sockets: a short path, 0700."""
    claims: Path
    """Where the data of volumes lies: one folder for each PersistentVolume, made 0700."""
    register: Register
    unregister: Unregister
    client_for: ClientFor
    """For programs of Jobs, which act with the account of their pod."""
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True)
class Context:
    """The client under a component's name, and what stands on it."""

    writer: Writer
    informers: Informers
    config: ServicesConfig

    @classmethod
    def named(cls, client: Client, informers: Informers, config: ServicesConfig, component: str) -> Context:
        """For one component, which owns the fields it writes."""
        return cls(Writer(client.named(component), informers), informers, config)

    @property
    def client(self) -> Client:
        """Speaks under the component's name."""
        return self.writer.client

    @property
    def clock(self) -> Clock:
        """The clock of the configuration."""
        return self.config.clock

    def timestamp(self) -> str:
        """The present moment as Kubernetes writes it."""
        return timestamp(self.clock.now())

    def recorder(self, component: str) -> EventRecorder:
        """A recorder of events in the name of one part."""
        return EventRecorder(self.client, component, self.clock)
