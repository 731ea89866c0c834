"""MetalLB's own webhook and what the controller makes at its start: certificate, CA bundles, the speakers' secret."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from nerv.certificates import KeyPair
from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.controllers.runtime.controller import Map
from nerv.controllers.services.context import Context
from nerv.controllers.services.load_balancer import admission, resources
from nerv.controllers.services.load_balancer.admission import Validator
from nerv.controllers.services.webhooks import authority, bundles, reviews
from nerv.controllers.serving import ServerController, WebhookServer
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, REPLICA_SETS, SECRETS, VALIDATING_WEBHOOKS, Resource

_KEY = Key("", "webhook")
_INJECTED = ((VALIDATING_WEBHOOKS, resources.WEBHOOK_CONFIGURATION), (CUSTOM_RESOURCE_DEFINITIONS, resources.CONVERTED))


def webhook_server(context: Context) -> Controller:
    """The controller of the webhook server."""
    informers = context.informers
    running = Presence.of(informers, resources.CONTROLLER_IMAGE)

    def namespace() -> str:
        pod = running.leader()
        return objects.namespace(pod) if pod is not None else ""

    validator = Validator(namespace, informers.of(resources.POOLS), informers.of(resources.BGP_PEERS))
    handler = reviews.handler(validator.reviews(), admission.conversions())
    server = WebhookServer(context.config, "metallb", handler)
    reconciler = _Webhook(context, running, informers.of(SECRETS), server)
    watches = (
        running.watch(lambda: (_KEY,)),
        Watch(reconciler.secrets, _named(resources.WEBHOOK_SECRET)),
        *(Watch(informers.of(resource), _named(name)) for resource, name in _INJECTED),
    )
    return ServerController("metallb-webhook", reconciler.reconcile, watches, context.clock, server)


def _named(name: str) -> Map:
    def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
        obj = new if new is not None else old
        return (_KEY,) if obj is not None and objects.name(obj) == name else ()

    return changed


@dataclass(frozen=True)
class _Webhook:
    context: Context
    running: Presence
    secrets: Informer
    server: WebhookServer

    async def reconcile(self, key: Key) -> Outcome:
        """Serve where the controller's pods are ready; nowhere otherwise."""
        pods = self.running.ready()
        if not pods:
            await self.server.withdraw()
            return Done()
        namespace = objects.namespace(pods[0])
        await self._memberlist(pods[0], namespace)
        ca, pair = await self._certificate(namespace)
        await self.server.serve(map(presence.address, pods), (resources.WEBHOOK_PORT,), pair)
        for resource, name in _INJECTED:
            await self._inject(resource, name, ca)
        return Done()

    async def _certificate(self, namespace: str) -> tuple[KeyPair, KeyPair]:
        """From the Secret that the chart leaves empty; filled when it has nothing usable."""
        service = f"{resources.WEBHOOK_SERVICE}.{namespace}.svc"
        secret = self.secrets.get(namespace, resources.WEBHOOK_SECRET)
        ca = authority.pair_of(secret, "ca.crt", "ca.key")
        pair = authority.pair_of(secret)
        if ca is None or pair is None or not authority.covers(pair, ca, (service,)):
            ca = authority.create("cert")
            pair = authority.serving(ca, (service,))
        values = {"ca.crt": ca.certificate, "ca.key": ca.key, "tls.crt": pair.certificate, "tls.key": pair.key}
        await authority.keep(self.context.writer, secret, namespace, resources.WEBHOOK_SECRET, values)
        return ca, pair

    async def _inject(self, resource: Resource, name: str, ca: KeyPair) -> None:
        obj = self.context.informers.of(resource).get(None, name)
        if obj is not None:
            await bundles.inject(self.context.writer, resource, obj, ca.certificate)

    async def _memberlist(self, pod: Object, namespace: str) -> None:
        """The speakers' common key: their pods cannot start before it exists."""
        name = _environment(pod, "METALLB_ML_SECRET_NAME")
        if not name or self.secrets.get(namespace, name) is not None:
            return
        # 128 random bytes, written as base64 text
        value = base64.b64encode(base64.b64encode(secrets.token_bytes(128))).decode()
        secret: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": {"secretkey": value},
        }
        owner = self._deployment(pod)
        if owner:
            secret["metadata"]["ownerReferences"] = [owner]
        try:
            await self.context.writer.create(SECRETS, secret, namespace)
        except errors.AlreadyExists:
            return

    def _deployment(self, pod: Object) -> Object | None:
        """A reference to the Deployment of the pod, through its ReplicaSet."""
        owner = objects.controller_of(pod)
        if owner is None:
            return None
        replica_set = self.context.informers.of(REPLICA_SETS).get(objects.namespace(pod), owner["name"])
        reference = objects.controller_of(replica_set) if replica_set is not None else None
        kept = ("apiVersion", "kind", "name", "uid")
        return {key: reference[key] for key in kept} if reference is not None else None


def _environment(pod: Object, name: str) -> str:
    for container in pod["spec"]["containers"]:
        for variable in container.get("env") or []:
            if variable["name"] == name:
                return str(variable.get("value") or "")
    return ""
