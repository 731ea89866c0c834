"""The revisions of a Deployment: which ReplicaSet is the newest, its annotations, its number. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nerv.controllers.kubernetes import pods
from nerv.controllers.kubernetes.deployment import scaling
from nerv.kube import objects
from nerv.kube.objects import Object

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    scaling.DESIRED,
    scaling.MAXIMUM,
    "deprecated.deployment.rollback.to",
}


def newest(deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The oldest set whose template is the Deployment's."""
    wanted = pods.normalized(deployment["spec"]["template"])
    ordered = sorted(sets, key=lambda each: (each["metadata"].get("creationTimestamp", ""), objects.name(each)))
    return next((each for each in ordered if pods.normalized(each["spec"]["template"]) == wanted), None)


def number(obj: Object) -> int:
    """Its revision, 0 where none is written."""
    text = objects.annotations(obj).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def replica_annotations(deployment: Object) -> dict[str, str]:
    """What a set remembers of the size it was last scaled for."""
    wanted = scaling.replicas(deployment)
    return {scaling.DESIRED: str(wanted), scaling.MAXIMUM: str(wanted + scaling.max_surge(deployment))}


def annotated(deployment: Object, replica_set: Object | None, revision: int) -> dict[str, str]:
    """The annotations of the newest set under `revision`: the Deployment's, its number, and former numbers."""
    present = dict(objects.annotations(replica_set)) if replica_set is not None else {}
    copied = {name: value for name, value in objects.annotations(deployment).items() if name not in _NOT_COPIED}
    result = {**present, **copied}
    former = number(replica_set) if replica_set is not None else 0
    if former < revision:
        result[REVISION] = str(revision)
        if former:
            history = [each for each in present.get(HISTORY, "").split(",") if each]
            result[HISTORY] = ",".join([*history, str(former)])
    return result


def replica_set(deployment: Object, sets: Sequence[Object], revision: int) -> Object:
    """A new ReplicaSet for the Deployment's template."""
    template = objects.clone(deployment["spec"]["template"])
    collisions = deployment.get("status", {}).get("collisionCount", 0)
    label = {pods.TEMPLATE_HASH: pods.template_hash(template, collisions)}
    metadata = template.get("metadata") or {}
    template["metadata"] = {**metadata, "labels": {**(metadata.get("labels") or {}), **label}}
    selector = objects.clone(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **label}
    spec: Object = {
        "replicas": scaling.new_set_replicas(deployment, sets, None),
        "selector": selector,
        "template": template,
    }
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{objects.name(deployment)}-{label[pods.TEMPLATE_HASH]}",
            "namespace": objects.namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {**annotated(deployment, None, revision), **replica_annotations(deployment)},
            "ownerReferences": [objects.owner_reference(deployment)],
        },
        "spec": spec,
    }


def expired(deployment: Object, olds: Sequence[Object]) -> list[Object]:
    """Old sets beyond revisionHistoryLimit, oldest first, that have no pods any more."""
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    alive = sorted((each for each in olds if not objects.deleting(each)), key=number)
    return [each for each in alive[: max(len(alive) - limit, 0)] if _is_empty(each)]


def _is_empty(replica_set: Object) -> bool:
    status = replica_set.get("status", {})
    return (
        scaling.replicas(replica_set) == 0
        and status.get("replicas", 0) == 0
        and objects.generation(replica_set) <= status.get("observedGeneration", 0)
    )
