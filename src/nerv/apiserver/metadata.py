"""What the server itself writes into `metadata` and resets elsewhere, when an object is created or changed.

Facts: k8s.io/apiserver/pkg/registry/rest (BeforeCreate, BeforeUpdate) and the strategies of pkg/registry/*.
"""

from __future__ import annotations

import random
import uuid
from datetime import datetime

from nerv.apiserver.registry import Served
from nerv.kube import errors
from nerv.kube.objects import Object, timestamp

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: generated names never form words (apimachinery rand)
_LONGEST_PREFIX = 58
_GENERATED = frozenset(
    {
        "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", "replicationcontrollers",
        "jobs.batch", "cronjobs.batch", "ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io",
        "networkpolicies.networking.k8s.io", "poddisruptionbudgets.policy", "endpointslices.discovery.k8s.io",
        "priorityclasses.scheduling.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io", "podtemplates",
        "flowschemas.flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    }
)  # fmt: skip
_UNTRACKED = ("metadata", "status", "apiVersion", "kind")
_KEEPS_STATUS = frozenset({"nodes", "events"})
"""Their creator knows the status (the kubelet registers its node with conditions)."""


def random_suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(random.choices(_ALPHABET, k=length))  # names need not be hard to guess


def prepare_create(served: Served, obj: Object, now: datetime) -> None:
    """Fill in the metadata of a new object and reset what its creator may not set, in place."""
    meta = obj["metadata"]
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:_LONGEST_PREFIX] + random_suffix()
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = timestamp(now)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink", "generation"):
        meta.pop(field, None)
    if generated(served):
        meta["generation"] = 1
    if served.has_status and served.key not in _KEEPS_STATUS:
        obj.pop("status", None)


def prepare_update(served: Served, obj: Object, old: Object, *, keep_status: bool = True) -> None:
    """Carry over what an update cannot change, and count the generation, in place. `keep_status` False: the server
    itself changes spec and status at once."""
    meta, before = obj["metadata"], old["metadata"]
    for field in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)
    meta.pop("selfLink", None)
    if served.has_status and keep_status:
        _carry(obj, old, "status")
    if generated(served) and _desired(served, obj) != _desired(served, old):
        meta["generation"] = (before.get("generation") or 0) + 1


def prepare_status(served: Served, obj: Object, old: Object) -> None:
    """A write to the status path changes the status, and for builtin kinds annotations and finalizers, in place."""
    given = obj.get("metadata") or {}
    meta = dict(old["metadata"])
    for field in ("managedFields", "resourceVersion", *(("annotations", "finalizers") if served.builtin else ())):
        _carry(meta, given, field)
    if served.key in ("pods", "nodes"):
        _carry(meta, given, "labels")
    status = obj.get("status")
    obj.clear()
    obj.update({**old, "metadata": meta})
    if status is None:
        obj.pop("status", None)
    else:
        obj["status"] = status


def generated(served: Served) -> bool:
    """Whether `metadata.generation` counts the changes of what is desired."""
    return not served.builtin or served.key in _GENERATED


def check_update(served: Served, obj: Object, old: Object, name: str) -> None:
    """Optimistic locking and identity. Raises errors.Conflict, errors.Invalid."""
    given = obj["metadata"].get("resourceVersion")
    if given and given != old["metadata"]["resourceVersion"]:
        raise served.conflict(name)
    uid = obj["metadata"].get("uid")
    if uid and uid != old["metadata"].get("uid"):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata'].get('uid')}"
        raise served.conflict(name, why)


def adopt_namespace(served: Served, obj: Object, namespace: str) -> None:
    """The namespace of the path holds; one in the object must agree. Raises errors.BadRequest."""
    meta = obj["metadata"]
    if not served.resource.namespaced:
        meta.pop("namespace", None)
        return
    given = meta.get("namespace")
    if given and given != namespace:
        raise errors.BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = namespace


def _desired(served: Served, obj: Object) -> Object:
    skipped = _UNTRACKED if served.has_status else ("metadata", "apiVersion", "kind")
    return {key: value for key, value in obj.items() if key not in skipped}


def _carry(obj: Object, old: Object, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)
