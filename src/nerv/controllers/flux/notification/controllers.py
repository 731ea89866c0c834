"""The controllers of notification: what wakes a Receiver, and where its webhooks are answered."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.controllers import presence
from nerv.controllers.flux.api import RECEIVERS
from nerv.controllers.flux.config import FluxConfig
from nerv.controllers.flux.draft import Draft, asked
from nerv.controllers.flux.notification import server
from nerv.controllers.flux.notification.receiver import ReceiverReconciler
from nerv.controllers.flux.notification.server import Webhooks
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informers, Key, Outcome, Watch, Writer, key_of
from nerv.controllers.serving import Exposure, ServerController, WebhookServer
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS

NAME = "notification-controller"
IMAGE = f"fluxcd/{NAME}"
PORT = 9292
_SERVER = Key("", "webhooks")


def controllers(client: Client, informers: Informers, config: FluxConfig) -> tuple[Controller, ...]:
    """The reconciler of Receivers, and their HTTP server where the cluster's network can be told of it."""
    named = client.named(NAME)
    receivers, secrets = informers.of(RECEIVERS), informers.of(SECRETS)

    def draft_of(key: Key) -> Draft | None:
        obj = receivers.get(key.namespace, key.name)
        return Draft(RECEIVERS, obj, Writer(named, informers), config.clock) if obj is not None else None

    def own(old: Object | None, new: Object | None) -> Iterable[Key]:
        return (key_of(new),) if new is not None and asked(old, new) else ()

    def of_secret(old: Object | None, new: Object | None) -> Iterable[Key]:
        """Receivers whose token came, went or changed: better than to wait for the next interval."""
        secret = new or old
        if secret is None or (old or {}).get("data") == (new or {}).get("data"):
            return
        for receiver in receivers.list(objects.namespace(secret)):
            if receiver["spec"]["secretRef"]["name"] == objects.name(secret):
                yield key_of(receiver)

    reconciler = ReceiverReconciler(named, draft_of, EventRecorder(client, NAME, config.clock))
    reconciling = Controller(
        f"{NAME}-receiver",
        reconciler.reconcile,
        (Watch(receivers, own, required=False), Watch(secrets, of_secret)),
        clock=config.clock,
        first_delay=0.75,
        last_delay=900.0,
    )
    if config.exposure is None:
        return (reconciling,)
    return reconciling, _server(named, informers, config, config.exposure)


def _server(client: Client, informers: Informers, config: FluxConfig, exposure: Exposure) -> Controller:
    """Serves at the addresses of notification-controller's ready pods."""
    running = Presence.of(informers, IMAGE)
    receivers = informers.of(RECEIVERS)
    receivers.add_index(server.BY_PATH, server.path_of)

    def acting() -> Client:
        pod = running.leader()
        if pod is None or config.impersonate is None:
            return client
        return config.impersonate(objects.namespace(pod), pod["spec"]["serviceAccountName"]).named(NAME)

    served = WebhookServer(exposure, "flux-webhooks", Webhooks(receivers, acting, config.clock.now).handle)

    async def reconcile(key: Key) -> Outcome:
        await served.serve(map(presence.address, running.ready()), (PORT,), None)
        return Done()

    return ServerController(f"{NAME}-server", reconcile, (running.watch(lambda: (_SERVER,)),), config.clock, served)
