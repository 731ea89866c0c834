"""What every namespace has from the start: the ServiceAccount `default` and the ConfigMap with the cluster's CA."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.podcontrol import is_namespace_terminating
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS, Resource

ROOT_CA = "kube-root-ca.crt"
_DESCRIBED = {
    "kubernetes.io/description": "The CA that signs the API server's certificate; made by the cluster itself."
}


def default_accounts(context: Context) -> Controller:
    """Keeps the ServiceAccount `default` in every namespace."""
    wanted: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    return _keeper(context, "serviceaccount-controller", SERVICE_ACCOUNTS, wanted)


def root_ca_publisher(context: Context) -> Controller:
    """Keeps the ConfigMap kube-root-ca.crt in every namespace, with the present CA."""
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ROOT_CA, "annotations": _DESCRIBED},
        "data": {"ca.crt": context.config.root_ca},
    }
    return _keeper(context, "root-ca-certificate-publisher-controller", CONFIG_MAPS, wanted)


def _keeper(context: Context, name: str, resource: Resource, wanted: Object) -> Controller:
    namespaces = context.informers.of(NAMESPACES)
    informer = context.informers.of(resource)
    keeper = _Keeper(context, resource, informer, namespaces, wanted)
    return Controller(name, keeper.reconcile, (Watch(namespaces), Watch(informer, keeper.changed)), clock=context.clock)


@dataclass(frozen=True)
class _Keeper:
    context: Context
    resource: Resource
    informer: Informer
    namespaces: Informer
    wanted: Object

    def changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The namespace of the one object that is kept."""
        obj = new if new is not None else old
        if obj is None or objects.name(obj) != objects.name(self.wanted):
            return ()
        return (Key("", objects.namespace(obj)),)

    async def reconcile(self, key: Key) -> Outcome:
        """Make the object where it is missing, put its data back where they were changed."""
        namespace = self.namespaces.get(None, key.name)
        if namespace is None or objects.deleting(namespace):
            return Done()
        present = self.informer.get(key.name, objects.name(self.wanted))
        if present is None:
            try:
                await self.context.writer.create(self.resource, self.wanted, key.name)
            except errors.AlreadyExists:
                return Done()
            except errors.ApiError as error:
                if not (is_namespace_terminating(error) or isinstance(error, errors.NotFound)):
                    raise
        elif "data" in self.wanted and present.get("data") != self.wanted["data"]:
            await self.context.writer.replace(self.resource, {**present, "data": self.wanted["data"]})
        return Done()
