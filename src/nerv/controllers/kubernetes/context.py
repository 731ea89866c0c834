"""What every controller of this room is given, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from nerv.controllers.runtime import Clock, EventRecorder, Informers, SystemClock, Writer
from nerv.kube.client import Client
from nerv.kube.objects import timestamp

FIELD_MANAGER = "kube-controller-manager"


@dataclass(frozen=True)
class KubernetesConfig:
    """What the cluster is. Times in seconds, with the defaults of kube-controller-manager 1.31."""

    root_ca: str
    """PEM bundle that pods verify the API server with; published as ConfigMap kube-root-ca.crt."""
    clock: Clock = field(default_factory=SystemClock)
    node_monitor_grace_period: float = 40.0
    """A node whose lease is older than this is Unknown."""
    terminated_pod_threshold: int = 12500
    """More finished pods than this are removed, oldest first."""


@dataclass(frozen=True)
class Context:
    """The client under the name of kube-controller-manager, and what stands on it."""

    client: Client
    writer: Writer
    informers: Informers
    config: KubernetesConfig

    @property
    def clock(self) -> Clock:
        """The clock of the configuration."""
        return self.config.clock

    def timestamp(self) -> str:
        """The present moment as Kubernetes writes it."""
        return timestamp(self.clock.now())

    def recorder(self, component: str) -> EventRecorder:
        """A recorder of events in the name of one controller."""
        return EventRecorder(self.client, component, self.clock)
