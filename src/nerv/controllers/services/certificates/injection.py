"""cainjector: CA bundles for webhook configurations, conversions and APIServices that ask for one by annotation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.controllers.runtime.controller import Map
from nerv.controllers.services.certificates import resources
from nerv.controllers.services.context import Context
from nerv.controllers.services.webhooks import authority, bundles
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, SECRETS

_SOURCES = (resources.INJECT_FROM, resources.INJECT_FROM_SECRET, resources.INJECT_API_SERVER)
_ROOT_CA = "kube-root-ca.crt"


def ca_injection(context: Context) -> Controller:
    """The controller of bundles. Keys name the kind in place of a namespace."""
    informers = context.informers
    running = Presence.of(informers, resources.CAINJECTOR_IMAGE)
    targets = {resource.plural: informers.of(resource) for resource in bundles.INJECTABLE}
    reconciler = _Injection(
        context,
        running,
        targets,
        informers.of(SECRETS),
        informers.of(resources.CERTIFICATES),
        informers.of(CONFIG_MAPS),
    )
    watches = (
        *(Watch(informer, _own(plural)) for plural, informer in targets.items()),
        Watch(reconciler.secrets, reconciler.secret_changed),
        running.watch(reconciler.all_targets),
    )
    return Controller("cert-manager-cainjector", reconciler.reconcile, watches, concurrency=1, clock=context.clock)


def _own(plural: str) -> Map:
    def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
        return (Key(plural, objects.name(new)),) if new is not None and _asks(new) else ()

    return changed


def _asks(obj: Object) -> bool:
    return any(source in objects.annotations(obj) for source in _SOURCES)


@dataclass(frozen=True)
class _Injection:
    context: Context
    running: Presence
    targets: dict[str, Informer]
    secrets: Informer
    certificates: Informer
    config_maps: Informer

    def all_targets(self) -> list[Key]:
        """Everything that asks for a bundle."""
        return [
            Key(plural, objects.name(each))
            for plural, informer in self.targets.items()
            for each in informer.list()
            if _asks(each)
        ]

    def secret_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """What takes its bundle from this Secret, directly or through the Certificate that writes it."""
        secret = new if new is not None else old
        if secret is None:
            return
        space = objects.namespace(secret)
        names = {objects.name(secret): resources.INJECT_FROM_SECRET}
        certificate = objects.annotations(secret).get(resources.CERTIFICATE_NAME)
        for plural, informer in self.targets.items():
            for target in informer.list():
                found = objects.annotations(target)
                direct = any(found.get(source) == f"{space}/{name}" for name, source in names.items())
                if direct or (certificate and found.get(resources.INJECT_FROM) == f"{space}/{certificate}"):
                    yield Key(plural, objects.name(target))

    async def reconcile(self, key: Key) -> Outcome:
        """Put the bundle into one object."""
        informer = self.targets[key.namespace]
        target = informer.get(None, key.name)
        if target is None or self.running.leader() is None:
            return Done()
        bundle = self._bundle(objects.annotations(target))
        if bundle:
            await bundles.inject(self.context.writer, informer.resource, target, bundle)
        return Done()

    def _bundle(self, annotations: object) -> str:
        """The PEM that the annotations point to; empty where there is none (yet)."""
        found = dict(annotations) if isinstance(annotations, dict) else {}
        if resources.INJECT_FROM in found:
            space, _, name = found[resources.INJECT_FROM].partition("/")
            certificate = self.certificates.get(space, name)
            if certificate is None:
                return ""
            secret = self.secrets.get(space, certificate["spec"]["secretName"])
            mine = secret is not None and objects.annotations(secret).get(resources.CERTIFICATE_NAME) == name
            return authority.text(secret, "ca.crt") if mine else ""
        if resources.INJECT_FROM_SECRET in found:
            space, _, name = found[resources.INJECT_FROM_SECRET].partition("/")
            secret = self.secrets.get(space, name)
            allowed = secret is not None and objects.annotations(secret).get(resources.ALLOW_INJECTION) == "true"
            return authority.text(secret, "ca.crt") if allowed else ""
        if found.get(resources.INJECT_API_SERVER) == "true":
            published = self.config_maps.get("kube-system", _ROOT_CA) or {}
            return str((published.get("data") or {}).get("ca.crt") or "")
        return ""
