"""What the driver deployer makes: CSIDriver, the four controllers of CSI, the plugin on every node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.controllers.services.context import Context
from nerv.controllers.services.storage import manifests, resources, settings
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import CSI_DRIVERS, DAEMON_SETS, DEPLOYMENTS, Resource

_KEY = Key("", "driver")
_SIDECARS = ("ATTACHER", "PROVISIONER", "RESIZER", "SNAPSHOTTER")
_REPLICAS = 3
_ROOT = "/var/lib/kubelet"


def csi_driver(context: Context) -> Controller:
    """The controller of the CSI driver's workloads."""
    informers = context.informers
    deployer = Presence.of(informers, resources.MANAGER_IMAGE, resources.is_deployer)
    daemon = Presence.of(informers, resources.MANAGER_IMAGE, resources.is_daemon)
    kinds = {each.plural: informers.of(each) for each in (CSI_DRIVERS, DEPLOYMENTS, DAEMON_SETS)}
    reconciler = _Driver(context, deployer, daemon, kinds, informers.of(resources.SETTINGS))
    watches = (
        deployer.watch(lambda: (_KEY,)),
        *(Watch(each, _vanished) for each in kinds.values()),
        Watch(reconciler.settings, _placement_changed, required=False),
    )
    return Controller("longhorn-driver", reconciler.reconcile, watches, concurrency=1, clock=context.clock)


def _vanished(old: Object | None, new: Object | None) -> Iterable[Key]:
    return (_KEY,) if new is None else ()


def _placement_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    return (_KEY,) if new is not None and old is None and objects.name(new) == "priority-class" else ()


@dataclass(frozen=True)
class _Driver:
    context: Context
    deployer: Presence
    daemon: Presence
    kinds: dict[str, Informer]
    settings: Informer

    async def reconcile(self, key: Key) -> Outcome:
        """Create what is missing. The deployer waits for the manager, whose settings it reads."""
        pod = self.deployer.leader()
        if pod is None or self.daemon.leader() is None:
            return Done()
        space = objects.namespace(pod)
        if self.settings.get(space, "priority-class") is None:
            return Done()
        given = environment(pod)
        place = settings.placement(self.settings, space)
        root = given.get("KUBELET_ROOT_DIR") or _ROOT
        await self._create(CSI_DRIVERS, manifests.csi_driver(), None)
        for part in _SIDECARS:
            count = int(given.get(f"CSI_{part}_REPLICA_COUNT") or _REPLICAS)
            image = given[f"CSI_{part}_IMAGE"]
            await self._create(DEPLOYMENTS, manifests.sidecar(place, f"csi-{part.lower()}", image, count, root), space)
        given["MANAGER_IMAGE"] = presence.option(pod, resources.MANAGER_IMAGE, "--manager-image")
        url = presence.option(pod, resources.MANAGER_IMAGE, "--manager-url")
        await self._create(DAEMON_SETS, manifests.plugin(place, given, url, root), space)
        return Done()

    async def _create(self, resource: Resource, obj: Object, space: str | None) -> None:
        present = self.kinds[resource.plural].get(space, objects.name(obj))
        if present is not None and _images(present) == _images(obj):
            return
        if present is not None:
            await self.context.writer.delete(resource, present)
        try:
            await self.context.writer.create(resource, obj, space)
        except errors.AlreadyExists:
            return


def environment(pod: Object) -> dict[str, str]:
    """Plain environment variables of the pod's first container."""
    variables = pod["spec"]["containers"][0].get("env") or []
    return {each["name"]: str(each.get("value") or "") for each in variables if "valueFrom" not in each}


def _images(workload: Object) -> set[str]:
    template = workload["spec"].get("template")
    return {each["image"] for each in template["spec"]["containers"]} if template else set()
