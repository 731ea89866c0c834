"""The writes of a Deployment: its ReplicaSets are created, scaled and removed, its status and revision kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes import claims, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.deployment import revisions, scaling, status
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS

_COMPONENT = "deployment-controller"


def deployments(context: Context) -> Controller:
    """The controller of apps/v1 Deployments."""
    owners = context.informers.of(DEPLOYMENTS)
    sets = context.informers.of(REPLICA_SETS)
    pod_informer = context.informers.of(PODS)
    reconciler = _Deployments(context, owners, sets, pod_informer, context.recorder(_COMPONENT))
    watches = (
        Watch(owners),
        Watch(sets, lambda old, new: claims.owner_keys(owners, "Deployment", old, new)),
        Watch(pod_informer, reconciler.recreated),
    )
    return Controller(_COMPONENT, reconciler.reconcile, watches, clock=context.clock)


@dataclass
class _Rollout:
    """One Deployment with its ReplicaSets as they are now."""

    deployment: Object
    sets: list[Object]
    new: Object | None

    @property
    def olds(self) -> list[Object]:
        """All sets but the newest."""
        return [each for each in self.sets if self.new is None or objects.uid(each) != objects.uid(self.new)]

    def changed(self, replica_set: Object) -> None:
        """Take in a set as a write answered it."""
        uid = objects.uid(replica_set)
        self.sets = [replica_set if objects.uid(each) == uid else each for each in self.sets]
        if self.new is not None and objects.uid(self.new) == uid:
            self.new = replica_set


@dataclass(frozen=True)
class _Deployments:
    context: Context
    owners: Informer
    sets: Informer
    pods: Informer
    recorder: EventRecorder

    def recreated(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A pod that is gone may be the last one that a Recreate waits for."""
        if old is None or new is not None:
            return ()
        reference = objects.controller_of(old)
        if reference is None or reference["kind"] != "ReplicaSet":
            return ()
        replica_set = self.sets.get(objects.namespace(old), reference["name"])
        return claims.owner_keys(self.owners, "Deployment", None, replica_set) if replica_set is not None else ()

    async def reconcile(self, key: Key) -> Outcome:
        """One step of a rollout; the changes it makes ask for the next."""
        deployment = self.owners.get(key.namespace, key.name)
        if deployment is None:
            return Done()
        selector = claims.selector_of(deployment)
        candidates = self.sets.list(key.namespace)
        mine = await claims.claim(self.context.writer, DEPLOYMENTS, deployment, REPLICA_SETS, selector, candidates)
        rollout = _Rollout(deployment, mine, revisions.newest(deployment, mine))
        if objects.deleting(deployment):
            await self._write(rollout, status.numbers(deployment, mine, rollout.new, self.context.clock.now()))
            return Done()
        await self._mark_paused(rollout)
        if deployment["spec"].get("paused") or scaling.is_scaling(deployment, mine):
            return await self._resize(rollout)
        if scaling.is_rolling(deployment):
            return await self._roll(rollout)
        return await self._recreate(rollout)

    async def _resize(self, rollout: _Rollout) -> Outcome:
        """Paused, or scaled: spread the wanted number over the sets there are."""
        await self._keep_revision(rollout)
        deployment = rollout.deployment
        active = scaling.active(rollout.sets)
        single = active[0] if len(active) == 1 else None
        if not active:
            latest = sorted(rollout.olds, key=lambda each: each["metadata"].get("creationTimestamp", ""))
            single = rollout.new or (latest[-1] if latest else None)
        if single is not None:
            await self._scale(rollout, single, scaling.replicas(deployment))
        elif scaling.is_saturated(deployment, rollout.new):
            for each in scaling.active(rollout.olds):
                await self._scale(rollout, each, 0)
        elif scaling.is_rolling(deployment):
            wanted = scaling.proportional(deployment, active)
            for each in active:
                await self._scale(rollout, each, wanted[objects.name(each)])
        if deployment["spec"].get("paused"):
            await self._forget_history(rollout)
        now = self.context.clock.now()
        await self._write(rollout, status.numbers(rollout.deployment, rollout.sets, rollout.new, now))
        return Done()

    async def _roll(self, rollout: _Rollout) -> Outcome:
        await self._keep_revision(rollout, create=True)
        if rollout.new is None:
            return Done()
        deployment = rollout.deployment
        wanted = scaling.new_set_replicas(deployment, rollout.sets, rollout.new)
        if scaling.replicas(rollout.new) > scaling.replicas(deployment):
            wanted = scaling.replicas(deployment)
        if not await self._scale(rollout, rollout.new, wanted):
            shrunk = scaling.old_scale_down(deployment, rollout.sets, rollout.new)
            for each in rollout.olds:
                if objects.name(each) in shrunk:
                    await self._scale(rollout, each, shrunk[objects.name(each)])
        return await self._finish(rollout)

    async def _recreate(self, rollout: _Rollout) -> Outcome:
        await self._keep_revision(rollout)
        for each in scaling.active(rollout.olds):
            await self._scale(rollout, each, 0)
        if not self._old_pods_run(rollout):
            await self._keep_revision(rollout, create=True)
            if rollout.new is not None:
                await self._scale(rollout, rollout.new, scaling.replicas(rollout.deployment))
        return await self._finish(rollout)

    def _old_pods_run(self, rollout: _Rollout) -> bool:
        olds = {objects.uid(each) for each in rollout.olds}
        return any(
            not pods.is_finished(pod) and (objects.controller_of(pod) or {}).get("uid") in olds
            for pod in self.pods.list(objects.namespace(rollout.deployment))
        )

    async def _finish(self, rollout: _Rollout) -> Outcome:
        if status.is_complete(rollout.deployment, rollout.deployment.get("status", {})):
            await self._forget_history(rollout)
        now = self.context.clock.now()
        wanted = status.rollout(rollout.deployment, rollout.sets, rollout.new, now)
        await self._write(rollout, wanted)
        left = status.seconds_left(rollout.deployment, wanted, now)
        return RetryAfter(left) if left is not None else Done()

    async def _keep_revision(self, rollout: _Rollout, *, create: bool = False) -> None:
        """Number the newest set, make it if `create` and there is none, and note its number on the Deployment."""
        revision = max((revisions.number(each) for each in rollout.olds), default=0) + 1
        deployment = rollout.deployment
        if rollout.new is not None:
            await self._renumber(rollout, rollout.new, revision)
        elif create:
            await self._create(rollout, revision)
        if rollout.new is None:
            return
        written = str(revisions.number(rollout.new))
        if objects.annotations(deployment).get(revisions.REVISION) != written:
            patch = {"metadata": {"annotations": {revisions.REVISION: written}}}
            rollout.deployment = await self.context.writer.patch(DEPLOYMENTS, deployment, patch)

    async def _renumber(self, rollout: _Rollout, new: Object, revision: int) -> None:
        deployment = rollout.deployment
        annotations = revisions.annotated(deployment, new, revision)
        seconds = deployment["spec"].get("minReadySeconds", 0)
        if annotations != objects.annotations(new) or new["spec"].get("minReadySeconds", 0) != seconds:
            patch: Object = {"metadata": {"annotations": annotations}, "spec": {"minReadySeconds": seconds or None}}
            rollout.changed(await self.context.writer.patch(REPLICA_SETS, new, patch))
        if status.deadline(deployment) is not None and objects.condition(deployment, "Progressing") is None:
            text = f'Found new replica set "{objects.name(new)}"'
            await self._progress(rollout, status.Condition("Progressing", "True", "FoundNewReplicaSet", text))

    async def _create(self, rollout: _Rollout, revision: int) -> None:
        deployment = rollout.deployment
        replica_set = revisions.replica_set(deployment, rollout.sets, revision)
        try:
            created = await self.context.writer.create(REPLICA_SETS, replica_set)
        except errors.AlreadyExists:
            await self._collided(rollout, replica_set)
            return
        except errors.ApiError as error:
            text = f'Failed to create new replica set "{objects.name(replica_set)}": {error.message}'
            self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", text)
            condition = status.Condition("Progressing", "False", "ReplicaSetCreateError", text)
            await self._progress(rollout, condition)
            raise
        rollout.new = created
        rollout.sets = [*rollout.sets, created]
        count = scaling.replicas(created)
        if count:
            self._say(deployment, f"Scaled up replica set {objects.name(created)} to {count}")
        text = f'Created new replica set "{objects.name(created)}"'
        await self._progress(rollout, status.Condition("Progressing", "True", "NewReplicaSetCreated", text))

    async def _collided(self, rollout: _Rollout, replica_set: Object) -> None:
        """Another set has the name that the hash gives: use it if it is ours and equal, else change the hash."""
        deployment = rollout.deployment
        found = await self.context.client.get(REPLICA_SETS, objects.name(replica_set), objects.namespace(replica_set))
        ours = (objects.controller_of(found) or {}).get("uid") == objects.uid(deployment)
        if ours and revisions.newest(deployment, [found]) is not None:
            rollout.new = found
            rollout.sets = [*rollout.sets, found]
            return
        before = deployment.get("status", {})
        await self._write(rollout, {**before, "collisionCount": before.get("collisionCount", 0) + 1})

    async def _progress(self, rollout: _Rollout, condition: status.Condition) -> None:
        if status.deadline(rollout.deployment) is None:
            return
        before = rollout.deployment.get("status", {})
        conditions = status.put(before.get("conditions") or [], condition, self.context.clock.now())
        await self._write(rollout, {**before, "conditions": conditions})

    async def _mark_paused(self, rollout: _Rollout) -> None:
        """Say in Progressing that the deadline stands still while the Deployment is paused."""
        deployment = rollout.deployment
        current = objects.condition(deployment, "Progressing")
        if status.deadline(deployment) is None or (current and current["reason"] == status.TIMED_OUT):
            return
        marked = current is not None and current["reason"] == "DeploymentPaused"
        if deployment["spec"].get("paused") and not marked:
            text = "Deployment is paused"
            await self._progress(rollout, status.Condition("Progressing", "Unknown", "DeploymentPaused", text))
        elif marked and not deployment["spec"].get("paused"):
            text = "Deployment is resumed"
            await self._progress(rollout, status.Condition("Progressing", "Unknown", "DeploymentResumed", text))

    async def _scale(self, rollout: _Rollout, replica_set: Object, count: int) -> bool:
        """Give a set its number, and let it remember the Deployment's size. Says whether the number changed."""
        before = scaling.replicas(replica_set)
        remembered = revisions.replica_annotations(rollout.deployment)
        annotations = objects.annotations(replica_set)
        if before == count and all(annotations.get(name) == value for name, value in remembered.items()):
            return False
        patch = {"metadata": {"annotations": remembered}, "spec": {"replicas": count}}
        rollout.changed(await self.context.writer.patch(REPLICA_SETS, replica_set, patch))
        if before == count:
            return False
        direction = "up" if count > before else "down"
        name = objects.name(replica_set)
        self._say(rollout.deployment, f"Scaled {direction} replica set {name} to {count} from {before}")
        return True

    async def _forget_history(self, rollout: _Rollout) -> None:
        for each in revisions.expired(rollout.deployment, rollout.olds):
            await self.context.writer.delete(REPLICA_SETS, each)

    async def _write(self, rollout: _Rollout, wanted: Object) -> None:
        rollout.deployment = await self.context.writer.status(DEPLOYMENTS, rollout.deployment, wanted)

    def _say(self, deployment: Object, text: str) -> None:
        self.recorder.event(deployment, "Normal", "ScalingReplicaSet", text)
