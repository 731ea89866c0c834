"""Flux 2.6 in process: source-controller, kustomize-controller, helm-controller, notification-controller.

Belongs here: the API groups and semantics of Flux, exactly as its controllers show them. Not: how sources are built
(builders), who serves them (mirror).
"""

from __future__ import annotations

from nerv.controllers.flux import helm, kustomization, notification, sources
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.config import FluxConfig, Outside
from nerv.controllers.runtime import Controller, EventRecorder, Informers
from nerv.kube.client import Client

__all__ = ["FluxConfig", "Outside", "Storage", "controllers"]


def controllers(client: Client, informers: Informers, config: FluxConfig) -> tuple[Controller, ...]:
    """Every controller of Flux, in the order in which objects pass through them."""
    storage = Storage(config.storage, config.artifact_host, config.clock)
    source_events = EventRecorder(client, "source-controller", config.clock)
    kustomize_events = EventRecorder(client, "kustomize-controller", config.clock)
    return (
        *sources.controllers(client, informers, storage, source_events, config),
        kustomization.controller(client, informers, storage, kustomize_events, config),
        helm.controller(
            client,
            informers,
            helm.HelmConfig(
                artifacts=storage,
                clock=config.clock,
                impersonate=config.impersonate,
                kubeconfig=config.kubeconfig,
                dependency_interval=config.dependency_interval,
            ),
        ),
        *notification.controllers(client, informers, config),
    )
