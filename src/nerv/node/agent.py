"""A node's agent: registers the node and runs its pods. Several run side by side in one process."""

from __future__ import annotations

import asyncio
import logging
import shutil

from nerv.kube.objects import Object
from nerv.kube.resources import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    SERVICES,
)
from nerv.node import registration
from nerv.node.addresses import AddressPool
from nerv.node.context import NodeContext
from nerv.node.environment import Sources
from nerv.node.kubelet import KubeletApi
from nerv.node.sandbox import Sandbox
from nerv.node.volumes import PodVolumes
from nerv.node.worker import PodWorker
from nerv.tasks import Supervisor

_log = logging.getLogger(__name__)
_REFRESH = 60.0
_READ_BEFORE_START = (PODS, SECRETS, CONFIG_MAPS, SERVICES)


class NodeAgent:
    """One node. `run` until cancelled; every process it has started has ended then."""

    def __init__(self, context: NodeContext) -> None:
        self.context = context
        self.workers: dict[str, PodWorker] = {}
        self._addresses = AddressPool(context.config.pod_cidr)
        self._supervisor = Supervisor()
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Register, then follow the pods of this node until cancelled."""
        context = self.context
        for folder in (context.config.folder, context.config.claims):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # `of` starts an informer: all at once, then wait for each.
        read = [context.informers.of(resource) for resource in _READ_BEFORE_START]
        for resource in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES):
            context.informers.of(resource)
        kubelet = self._kubelet()
        if kubelet:
            await kubelet.start(lambda: tuple(self.workers.values()))
        node = await registration.register(context)
        await asyncio.gather(*(informer.synced.wait() for informer in read))
        self._supervisor.start(f"lease of {context.config.name}", lambda: registration.keep_alive(context, node))
        self._supervisor.start(f"volumes of {context.config.name}", self._refresh_all)
        ends = []
        try:
            self._take_over()
            ends = [
                context.informers.of(PODS).on_change(self._pod_changed),
                context.informers.of(SECRETS).on_change(self._content_changed),
                context.informers.of(CONFIG_MAPS).on_change(self._content_changed),
            ]
            await asyncio.get_running_loop().create_future()
        finally:
            for end in ends:
                end()
            await self._supervisor.stop()
            if kubelet:
                await kubelet.stop()

    async def renew_networks(self) -> None:
        """The cluster's network was made anew: bring every pod of this node into it."""
        await asyncio.gather(*(worker.renew_network() for worker in list(self.workers.values())))

    def _kubelet(self) -> KubeletApi | None:
        config = self.context.config
        return KubeletApi(self.context, config.serving, config.client_ca) if config.serving else None

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod by name."""
        for worker in self.workers.values():
            metadata = worker.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return worker
        return None

    def _is_ours(self, pod: Object) -> bool:
        return bool(pod["spec"].get("nodeName") == self.context.config.name)

    def _take_over(self) -> None:
        """Pods keep their addresses over a restart, so these are taken before any other pod asks for one. What pods
        that have gone meanwhile left behind is removed."""
        pods = self.context.informers.of(PODS).list()
        present = {pod["metadata"]["uid"] for pod in pods}
        folder = self.context.config.folder / "pods"
        for left in folder.iterdir() if folder.exists() else ():
            if left.name not in present:
                shutil.rmtree(left, ignore_errors=True)
        for pod in pods:
            address = pod.get("status", {}).get("podIP")
            if self._is_ours(pod) and address and not pod["spec"].get("hostNetwork"):
                self._addresses.claim(address, pod["metadata"]["uid"])

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and self._is_ours(new):
            worker = self.workers.get(new["metadata"]["uid"])
            if worker is None:
                self._begin(new)
            else:
                worker.update(new)
        elif new is None and old is not None and (worker := self.workers.get(old["metadata"]["uid"])):
            worker.vanished()

    def _begin(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        worker = self.workers[uid] = PodWorker(self.context, self._sandbox(pod))
        worker.update(pod)
        metadata = pod["metadata"]
        self._supervisor.start(f"pod {metadata['namespace']}/{metadata['name']} {uid}", lambda: self._work(uid, worker))

    async def _work(self, uid: str, worker: PodWorker) -> None:
        await worker.run()
        self.workers.pop(uid, None)
        self._addresses.release(uid)

    def _sandbox(self, pod: Object) -> Sandbox:
        config = self.context.config
        metadata = pod["metadata"]
        informers = self.context.informers
        folder = config.folder / "pods" / metadata["uid"]
        on_host = pod["spec"].get("hostNetwork")
        return Sandbox(
            context=self.context,
            pod=pod,
            folder=folder,
            root=config.folder / "root",
            sources=Sources(
                informers.of(CONFIG_MAPS),
                informers.of(SECRETS),
                informers.of(SERVICES),
                {"cpu": config.cpus * 1000, "memory": config.memory, "ephemeral-storage": config.storage},
            ),
            volumes=PodVolumes(self.context, folder / "volumes"),
            address=config.address if on_host else self._addresses.take(metadata["uid"]),
        )

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        """A Secret or ConfigMap has changed: volumes of the namespace that show it are brought up to date."""
        if old is None or new is None:
            return
        name, namespace = new["metadata"]["name"], new["metadata"]["namespace"]
        for worker in self.workers.values():
            if worker.pod["metadata"]["namespace"] == namespace and _mentions(worker.pod, name):
                task = asyncio.create_task(worker.refresh_volumes())
                self._background.add(task)
                task.add_done_callback(self._background.discard)

    async def _refresh_all(self) -> None:
        """Renew tokens in time, as the kubelet's sync loop does."""
        while True:
            await self.context.sleep(_REFRESH)
            await asyncio.gather(*(worker.refresh_volumes() for worker in list(self.workers.values())))


def _mentions(pod: Object, name: str) -> bool:
    """Whether a volume of the pod shows the ConfigMap or Secret `name`."""
    for volume in pod["spec"].get("volumes", []):
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            secret, config_map = source.get("secret") or {}, source.get("configMap") or {}
            if name in (secret.get("secretName"), secret.get("name"), config_map.get("name")):
                return True
    return False
