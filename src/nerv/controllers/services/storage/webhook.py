"""Longhorn's webhooks: authority and certificate in Secrets, servers at the managers' addresses, the configurations
that the manager writes itself, and the labels by which the chart's Services find it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.certificates import KeyPair
from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.controllers.services.context import Context
from nerv.controllers.services.storage import resources, settings
from nerv.controllers.services.webhooks import authority, bundles, reviews
from nerv.controllers.services.webhooks.reviews import Allowed, Denied, Verdict
from nerv.controllers.serving import ServerController, WebhookServer
from nerv.http.messages import Request, Response
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, MUTATING_WEBHOOKS, PODS, SECRETS, VALIDATING_WEBHOOKS

_KEY = Key("", "webhook")
_CA, _TLS = "longhorn-webhook-ca", "longhorn-webhook-tls"
VALIDATOR, MUTATOR = "longhorn-webhook-validator", "longhorn-webhook-mutator"
_BACKEND, _CONVERSION, _ADMISSION = 9500, 9501, 9502
_SERVICES = (resources.CONVERSION_SERVICE, resources.ADMISSION_SERVICE)
_LABELS = {
    f"{resources.GROUP}/{name}": f"longhorn-{name}"
    for name in ("admission-webhook", "conversion-webhook", "recovery-backend")
}
_MUTATED = (
    *("backups", "backingimages", "backingimagemanagers", "backingimagedatasources", "backupbackingimages"),
    *("backuptargets", "backupvolumes", "engines", "engineimages", "instancemanagers", "nodes", "orphans"),
    *("recurringjobs", "replicas", "sharemanagers", "snapshots", "supportbundles", "systembackups", "volumes"),
    "volumeattachments",
)
_VALIDATED = {
    ("CREATE",): ("backups", "supportbundles", "systembackups", "systemrestores", "backupbackingimages"),
    ("CREATE", "DELETE"): ("backingimages",),
    ("CREATE", "UPDATE"): (
        *("backupvolumes", "engines", "instancemanagers", "orphans", "recurringjobs", "snapshots", "volumes"),
        "volumeattachments",
    ),
    ("CREATE", "UPDATE", "DELETE"): ("backuptargets", "nodes", "replicas", "settings"),
}


def webhook_server(context: Context) -> Controller:
    """The controller of Longhorn's webhook servers."""
    informers = context.informers
    running = Presence.of(informers, resources.MANAGER_IMAGE, resources.is_daemon)
    admissions = {"/v1/webhook/validation": validate, "/v1/webhook/mutation": lambda request: Allowed()}
    conversions = {"/v1/webhook/conversion": reviews.relabel}
    handler = reviews.handler(admissions, conversions, ("/v1/healthz",))
    server = WebhookServer(context.config, "longhorn", handler)
    backend = WebhookServer(context.config, "longhorn-backend", answer)
    reconciler = _Webhook(context, running, informers.of(SECRETS), server, backend)
    definitions = informers.of(CUSTOM_RESOURCE_DEFINITIONS)
    watches = (
        running.watch(lambda: (_KEY,)),
        Watch(reconciler.secrets, _secret_changed),
        Watch(definitions, _definition_changed),
        Watch(informers.of(VALIDATING_WEBHOOKS), _configuration_changed),
        Watch(informers.of(MUTATING_WEBHOOKS), _configuration_changed),
    )
    return ServerController("longhorn-webhook", reconciler.reconcile, watches, context.clock, server, backend)


def answer(request: Request) -> Response:
    """The manager's own API, as far as others ask whether it is there."""
    if request.path.rstrip("/") != "/v1":
        return Response(404, b'{"message":"not done on this machine"}')
    return Response(200, b'{"type":"collection","resourceType":"apiVersion","data":[{"id":"v1","type":"apiVersion"}]}')


def validate(request: Object) -> Verdict:
    """Settings must have values of their type; the default disk's node and volumes are left to their schemas."""
    if request["kind"]["kind"] != "Setting" or request["operation"] == "DELETE":
        return Allowed()
    problem = settings.problem(request["object"])
    if not problem:
        return Allowed()
    return Denied(f"error validating the request: {problem}", 400, "BadRequest")


def _secret_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    return (_KEY,) if obj is not None and objects.name(obj) in (_CA, _TLS) else ()


def _definition_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    return (_KEY,) if new is not None and objects.name(new) in resources.CONVERTED else ()


def _configuration_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    return (_KEY,) if obj is not None and objects.name(obj) in (VALIDATOR, MUTATOR) else ()


@dataclass(frozen=True)
class _Webhook:
    context: Context
    running: Presence
    secrets: Informer
    server: WebhookServer
    backend: WebhookServer

    async def reconcile(self, key: Key) -> Outcome:
        """Serve first, then let Services and the API server know."""
        pods = self.running.ready()
        if not pods:
            await self.server.withdraw()
            await self.backend.withdraw()
            return Done()
        space = objects.namespace(pods[0])
        ca, pair = await self._certificate(space)
        addresses = [presence.address(pod) for pod in pods]
        await self.server.serve(addresses, (_CONVERSION, _ADMISSION), pair)
        await self.backend.serve(addresses, (_BACKEND,), None)
        for pod in pods:
            if any(objects.labels(pod).get(name) != value for name, value in _LABELS.items()):
                await self.context.writer.patch(PODS, pod, {"metadata": {"labels": _LABELS}})
        definitions = self.context.informers.of(CUSTOM_RESOURCE_DEFINITIONS)
        for name in resources.CONVERTED:
            definition = definitions.get(None, name)
            if definition is not None:
                await bundles.inject(self.context.writer, CUSTOM_RESOURCE_DEFINITIONS, definition, ca.certificate)
        await self._configuration(space, ca)
        return Done()

    async def _certificate(self, space: str) -> tuple[KeyPair, KeyPair]:
        names = [f"{service}.{space}.svc" for service in _SERVICES]
        secret, leaf = self.secrets.get(space, _CA), self.secrets.get(space, _TLS)
        ca, pair = authority.pair_of(secret), authority.pair_of(leaf)
        if ca is None or pair is None or not authority.covers(pair, ca, names):
            ca = ca or authority.create("longhorn-webhook-ca")
            pair = authority.serving(ca, names)
        for live, name, each in ((secret, _CA, ca), (leaf, _TLS, pair)):
            values = {"tls.crt": each.certificate, "tls.key": each.key}
            await authority.keep(self.context.writer, live, space, name, values, type="kubernetes.io/tls")
        return ca, pair

    async def _configuration(self, space: str, ca: KeyPair) -> None:
        for resource, name, rules, path in (
            (VALIDATING_WEBHOOKS, VALIDATOR, _validated(), "validation"),
            (MUTATING_WEBHOOKS, MUTATOR, [_rule(each, ("CREATE", "UPDATE")) for each in _MUTATED], "mutation"),
        ):
            present = self.context.informers.of(resource).get(None, name)
            if present is not None:
                await bundles.inject(self.context.writer, resource, present, ca.certificate)
                continue
            service = {"name": _SERVICES[1], "namespace": space, "path": f"/v1/webhook/{path}", "port": _ADMISSION}
            webhook = {
                "name": f"{name.rpartition('-')[2]}.{resources.GROUP}",
                "admissionReviewVersions": ["v1", "v1beta1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "matchPolicy": "Exact",
                "rules": rules,
                "clientConfig": {"service": service, "caBundle": _bundle(ca)},
            }
            head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
            try:
                await self.context.writer.create(resource, {**head, "webhooks": [webhook]})
            except errors.AlreadyExists:
                continue


def _bundle(ca: KeyPair) -> str:
    return authority.encode({"ca": ca.certificate})["ca"]


def _rule(plural: str, operations: tuple[str, ...], group: str = resources.GROUP, version: str = "v1beta2") -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": [plural],
        "scope": "Namespaced",
    }


def _validated() -> list[Object]:
    """Every change of a claim in the whole cluster is asked about, too."""
    own = [_rule(plural, operations) for operations, plurals in _VALIDATED.items() for plural in plurals]
    return [*own, _rule("persistentvolumeclaims", ("UPDATE",), "", "v1")]
