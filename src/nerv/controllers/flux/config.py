"""What the Flux controllers are told from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nerv.controllers.runtime import Clock, SystemClock
from nerv.controllers.serving import Exposure
from nerv.kube.client import Client


@dataclass(frozen=True)
class Outside:
    """How sources reach the world: an HTTP CONNECT proxy (empty: directly) and a bundle of trusted authorities."""

    proxy_url: str = field(default="", repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True)
class FluxConfig:
    """`storage` is a folder of ours for artifacts and clones, mode 0700.

    `kubeconfig` gives the content of one for Helm's `lookup`; without it `lookup` finds nothing.

    `impersonate` gives a client that speaks as a service account (namespace, name); without it objects that name a
    service account fail with a clear condition. `dependency_interval` is how long a Kustomization waits for what it
    depends on before it looks again although nothing changed, in seconds. `exposure` tells the cluster's network where
    webhooks are answered; without it they are not.
    """

    storage: Path
    outside: Outside = Outside()
    clock: Clock = field(default_factory=SystemClock)
    artifact_host: str = "source-controller.flux-system.svc.cluster.local."
    impersonate: Callable[[str, str], Client] | None = None
    kubeconfig: Callable[[], str] = field(default=lambda: "")
    dependency_interval: float = 30.0
    exposure: Exposure | None = None
