"""StatefulSets: numbered pods with claims of their own, in order.

Behaviour of k8s.io/kubernetes/pkg/controller/statefulset 1.31: OrderedReady and Parallel, RollingUpdate with partition,
OnDelete, `ordinals.start`. Not here: maxUnavailable above 1, persistentVolumeClaimRetentionPolicy other than Retain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nerv.controllers.kubernetes import claims, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.history import HASH_LABEL, History
from nerv.controllers.kubernetes.podcontrol import is_namespace_terminating
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)

_COMPONENT = "statefulset-controller"
_POD_NAME = "statefulset.kubernetes.io/pod-name"
_POD_INDEX = "apps.kubernetes.io/pod-index"


def stateful_sets(context: Context) -> Controller:
    """The controller of apps/v1 StatefulSets."""
    owners = context.informers.of(STATEFUL_SETS)
    pod_informer = context.informers.of(PODS)
    revisions = context.informers.of(CONTROLLER_REVISIONS)
    volume_claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
    history = History(context, STATEFUL_SETS, revisions, "controller.kubernetes.io/hash")
    reconciler = _StatefulSets(context, owners, pod_informer, volume_claims, history, context.recorder(_COMPONENT))
    watches = (
        Watch(owners),
        Watch(pod_informer, lambda old, new: claims.owner_keys(owners, "StatefulSet", old, new)),
        Watch(revisions, lambda old, new: claims.owner_keys(owners, "StatefulSet", old, new)),
    )
    return Controller(_COMPONENT, reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Set:
    """One StatefulSet with its pods and the two revisions it moves between."""

    owner: Object
    pods: Sequence[Object]
    current: Object
    update: Object

    @property
    def replicas(self) -> int:
        count = self.owner["spec"].get("replicas")
        return 1 if count is None else int(count)

    @property
    def start(self) -> int:
        return int((self.owner["spec"].get("ordinals") or {}).get("start", 0))

    @property
    def partition(self) -> int:
        """Pods with a lower ordinal keep the current revision."""
        strategy = self.owner["spec"].get("updateStrategy") or {}
        return int((strategy.get("rollingUpdate") or {}).get("partition", 0))

    @property
    def is_ordered(self) -> bool:
        return bool(self.owner["spec"].get("podManagementPolicy", "OrderedReady") != "Parallel")

    @property
    def rolls(self) -> bool:
        strategy = self.owner["spec"].get("updateStrategy") or {}
        return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")

    def wanted(self) -> range:
        """The ordinals that should exist."""
        return range(self.start, self.start + self.replicas)

    def by_ordinal(self) -> dict[int, Object]:
        return {ordinal(pod): pod for pod in self.pods}

    def revision_for(self, number: int) -> Object:
        """The revision of a pod that is made now."""
        return self.current if self.rolls and number < self.start + self.partition else self.update


@dataclass(frozen=True)
class _StatefulSets:
    context: Context
    owners: Informer
    pods: Informer
    volume_claims: Informer
    history: History
    recorder: EventRecorder

    async def reconcile(self, key: Key) -> Outcome:
        """One step: the next pod is made, replaced, updated or removed; then the status."""
        owner = self.owners.get(key.namespace, key.name)
        if owner is None:
            return Done()
        known = await self.history.of(owner)
        update = await self.history.newest(owner, known)
        named = owner.get("status", {}).get("currentRevision")
        current = next((each for each in known if objects.name(each) == named), update)
        state = await self._state(owner, current, update)
        try:
            if not objects.deleting(owner):
                await self._step(state)
        finally:
            state = await self._state(owner, current, update)
            await self._write(state)
        in_use = {objects.labels(pod).get(HASH_LABEL) for pod in state.pods}
        in_use |= {objects.name(current), objects.name(update)}
        await self.history.trim(owner, known, lambda each: objects.name(each) in in_use)
        seconds = owner["spec"].get("minReadySeconds", 0)
        wait = pods.next_available(state.pods, seconds, self.context.clock.now())
        return RetryAfter(wait) if wait else Done()

    async def _state(self, owner: Object, current: Object, update: Object) -> _Set:
        prefix = f"{objects.name(owner)}-"
        candidates = [
            pod
            for pod in self.pods.list(objects.namespace(owner))
            if objects.name(pod).startswith(prefix) and objects.name(pod).removeprefix(prefix).isdigit()
        ]
        selector = claims.selector_of(owner)
        mine = await claims.claim(self.context.writer, STATEFUL_SETS, owner, PODS, selector, candidates)
        return _Set(owner, sorted(mine, key=ordinal), current, update)

    async def _step(self, state: _Set) -> None:
        present = state.by_ordinal()
        for number in state.wanted():
            if not await self._ensure(state, number, present.get(number)) and state.is_ordered:
                return
        surplus = [pod for at, pod in sorted(present.items(), reverse=True) if at not in state.wanted()]
        for pod in surplus:
            if not objects.deleting(pod):
                await self._delete(state.owner, pod)
            if state.is_ordered:
                return
        if not surplus:
            await self._update(state, present)

    async def _ensure(self, state: _Set, number: int, pod: Object | None) -> bool:
        """Make the pod of an ordinal, or make it again. True once it is available, so that the next may follow."""
        if pod is not None and pods.is_finished(pod) and not objects.deleting(pod):
            text = f"StatefulSet {objects.key(state.owner)} is recreating failed Pod {objects.name(pod)}"
            self.recorder.event(state.owner, "Warning", "RecreatingFailedPod", text)
            await self.context.writer.delete(PODS, pod)
            return False
        if pod is None:
            await self._create(state, number)
            return False
        seconds = state.owner["spec"].get("minReadySeconds", 0)
        return not objects.deleting(pod) and pods.is_available(pod, seconds, self.context.clock.now())

    async def _update(self, state: _Set, present: dict[int, Object]) -> None:
        """Replace the highest outdated pod, once all above it are healthy."""
        if not state.rolls:
            return
        for number in sorted(state.wanted(), reverse=True):
            pod = present.get(number)
            if number < state.start + state.partition or pod is None:
                return
            if not _is_of(pod, state.update) and not objects.deleting(pod):
                await self._delete(state.owner, pod)
                return
            if objects.deleting(pod) or not pods.is_ready(pod):
                return

    async def _create(self, state: _Set, number: int) -> None:
        owner = state.owner
        pod = _new_pod(owner, state.revision_for(number), number)
        for claim in _claims(owner, number):
            await self._create_claim(owner, claim, objects.name(pod))
        name = objects.name(pod)
        try:
            await self.context.writer.create(PODS, pod)
        except errors.AlreadyExists:
            return
        except errors.ApiError as error:
            if is_namespace_terminating(error):
                return
            text = f"create Pod {name} in StatefulSet {objects.name(owner)} failed error: {error.message}"
            self.recorder.event(owner, "Warning", "FailedCreate", text)
            raise
        text = f"create Pod {name} in StatefulSet {objects.name(owner)} successful"
        self.recorder.event(owner, "Normal", "SuccessfulCreate", text)

    async def _create_claim(self, owner: Object, claim: Object, pod: str) -> None:
        if self.volume_claims.get(objects.namespace(claim), objects.name(claim)) is not None:
            return
        what = f"Claim {objects.name(claim)} Pod {pod} in StatefulSet {objects.name(owner)}"
        try:
            await self.context.writer.create(PERSISTENT_VOLUME_CLAIMS, claim)
        except errors.AlreadyExists:
            return
        except errors.ApiError as error:
            self.recorder.event(owner, "Warning", "FailedCreate", f"create {what} failed error: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"create {what} success")

    async def _delete(self, owner: Object, pod: Object) -> None:
        await self.context.writer.delete(PODS, pod)
        text = f"delete Pod {objects.name(pod)} in StatefulSet {objects.name(owner)} successful"
        self.recorder.event(owner, "Normal", "SuccessfulDelete", text)

    async def _write(self, state: _Set) -> None:
        """The status; once every pod is of the new revision, that is the current one."""
        owner = state.owner
        now = self.context.clock.now()
        seconds = owner["spec"].get("minReadySeconds", 0)
        alive = [pod for pod in state.pods if not objects.deleting(pod)]
        updated = sum(_is_of(pod, state.update) for pod in alive)
        ready = sum(pods.is_ready(pod) for pod in state.pods)
        current = state.current
        counted = sum(_is_of(pod, current) for pod in alive)
        complete = state.rolls and updated == len(state.pods) == state.replicas == ready and not state.partition
        if complete or (state.rolls and state.partition and updated == state.replicas == ready):
            current, counted = state.update, updated
        status: Object = {
            "observedGeneration": objects.generation(owner),
            "replicas": len(state.pods),
            "currentRevision": objects.name(current),
            "updateRevision": objects.name(state.update),
            "collisionCount": owner.get("status", {}).get("collisionCount", 0),
            "availableReplicas": sum(pods.is_available(pod, seconds, now) for pod in state.pods),
        }
        more = {"readyReplicas": ready, "currentReplicas": counted, "updatedReplicas": updated}
        await self.context.writer.status(
            STATEFUL_SETS, owner, {**status, **{name: count for name, count in more.items() if count}}
        )


def ordinal(pod: Object) -> int:
    """The number at the end of a pod's name."""
    return int(objects.name(pod).rpartition("-")[2])


def _is_of(pod: Object, revision: Object) -> bool:
    return objects.labels(pod).get(HASH_LABEL) == objects.name(revision)


def _claims(owner: Object, number: int) -> list[Object]:
    """The claims of one ordinal."""
    result = []
    labels = ((owner["spec"].get("selector") or {}).get("matchLabels")) or {}
    for template in owner["spec"].get("volumeClaimTemplates") or []:
        source = template["metadata"]
        metadata: Object = {
            "name": f"{source['name']}-{objects.name(owner)}-{number}",
            "namespace": objects.namespace(owner),
            "labels": {**(source.get("labels") or {}), **labels},
        }
        if source.get("annotations"):
            metadata["annotations"] = source["annotations"]
        spec = objects.clone(template["spec"])
        result.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    return result


def _new_pod(owner: Object, revision: Object, number: int) -> Object:
    name = f"{objects.name(owner)}-{number}"
    labels = {HASH_LABEL: objects.name(revision), _POD_NAME: name, _POD_INDEX: str(number)}
    template = {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
    pod = pods.from_template(template, owner, name=name, labels=labels)
    spec = pod["spec"]
    spec["hostname"] = name
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    templates = [each["metadata"]["name"] for each in owner["spec"].get("volumeClaimTemplates") or []]
    others = [each for each in spec.get("volumes") or [] if each["name"] not in templates]
    own = [{"name": each, "persistentVolumeClaim": {"claimName": f"{each}-{name}"}} for each in templates]
    if own or others:
        spec["volumes"] = [*own, *others]
    return pod
