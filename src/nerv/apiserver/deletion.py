"""What a DELETE does to an object: remove it, or mark it and wait for finalizers and the grace period. Pure.

Facts: k8s.io/apiserver/pkg/registry/generic/registry (Store.Delete) and the strategies of pods and namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nerv.apiserver import bodies, metadata
from nerv.apiserver.registry import Served
from nerv.http.messages import Request
from nerv.kube import errors
from nerv.kube.objects import Object, set_condition, timestamp

_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_DEFAULT_GRACE = 30


@dataclass(frozen=True)
class Options:
    """DeleteOptions, from the body or the query."""

    propagation: str = ""
    grace_period: int | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def of(cls, request: Request, dry_run: bool) -> Options:
        """Raises errors.BadRequest."""
        body: Object = bodies.decode(request) if request.body else {}
        query: Object = {}
        if request.param("gracePeriodSeconds"):
            query["gracePeriodSeconds"] = int(request.param("gracePeriodSeconds"))
        if request.param("propagationPolicy"):
            query["propagationPolicy"] = request.param("propagationPolicy")
        if request.param("orphanDependents"):
            query["orphanDependents"] = request.param("orphanDependents") == "true"
        return cls.from_object({**query, **body}, dry_run)

    @classmethod
    def from_object(cls, body: Object, dry_run: bool) -> Options:
        """From a DeleteOptions object. Raises errors.Invalid."""
        preconditions = body.get("preconditions") or {}
        propagation = body.get("propagationPolicy") or ""
        if body.get("orphanDependents") is not None and not propagation:
            propagation = "Orphan" if body["orphanDependents"] else "Background"
        if propagation not in ("", "Background", "Foreground", "Orphan"):
            raise errors.Invalid(
                'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: '
                f'"{propagation}": supported values: "Foreground", "Background", "Orphan"'
            )
        return cls(
            propagation,
            body.get("gracePeriodSeconds"),
            preconditions.get("uid") or "",
            preconditions.get("resourceVersion") or "",
            dry_run or "All" in (body.get("dryRun") or ()),
        )


def check(served: Served, obj: Object, options: Options) -> None:
    """Preconditions. Raises errors.Conflict."""
    meta = obj["metadata"]
    if options.uid and options.uid != meta.get("uid"):
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta.get('uid')}). "
            "The object might have been deleted and then recreated"
        )
        raise _conflict(served, meta["name"], why)
    if options.resource_version and options.resource_version != meta["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
            f"ResourceVersion in record ({meta['resourceVersion']}). The object might have been modified"
        )
        raise _conflict(served, meta["name"], why)


def _conflict(served: Served, name: str, why: str) -> errors.Conflict:
    """Preconditions of a deletion name the kind, not the resource."""
    return errors.conflict(served.resource.kind, served.resource.group, name, why)


def begin(served: Served, obj: Object, options: Options, now: datetime) -> bool:
    """Mark `obj` for deletion, in place. True: nothing holds it, remove it at once."""
    meta = obj["metadata"]
    _set_finalizers(served, meta, options)
    grace = _grace(served, obj, options)
    held = bool(meta.get("finalizers")) or bool(_content_finalizers(served, obj))
    if not held and grace == 0:
        return True
    begun = meta.get("deletionTimestamp")
    if not begun:
        if metadata.generated(served) and "generation" in meta:
            meta["generation"] += 1
        meta["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
        _announce(served, obj, now)
    elif grace < (meta.get("deletionGracePeriodSeconds") or 0):
        shorter = (meta.get("deletionGracePeriodSeconds") or 0) - grace
        meta["deletionTimestamp"] = timestamp(datetime.fromisoformat(begun) - timedelta(seconds=shorter))
        meta["deletionGracePeriodSeconds"] = grace
    return False


def finished(served: Served, obj: Object) -> bool:
    """Whether an update has taken away the last thing that held a terminating object."""
    meta = obj["metadata"]
    return bool(
        meta.get("deletionTimestamp")
        and not meta.get("finalizers")
        and not meta.get("deletionGracePeriodSeconds")
        and not _content_finalizers(served, obj)
    )


def _set_finalizers(served: Served, meta: dict[str, Any], options: Options) -> None:
    finalizers = [item for item in meta.get("finalizers") or () if item not in (_FOREGROUND, _ORPHAN)]
    present = [item for item in meta.get("finalizers") or () if item in (_FOREGROUND, _ORPHAN)]
    propagation = options.propagation
    if not propagation:
        # Jobs are the one kind whose dependents survive unless the client says otherwise
        propagation = "Orphan" if served.key == "jobs.batch" and not present else ""
    wanted = {"Foreground": [_FOREGROUND], "Orphan": [_ORPHAN], "Background": [], "": present}[propagation]
    if finalizers or wanted:
        meta["finalizers"] = [*finalizers, *wanted]
    else:
        meta.pop("finalizers", None)


def _grace(served: Served, obj: Object, options: Options) -> int:
    """Only pods are given time."""
    if served.key != "pods":
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    asked = options.grace_period
    if asked is None:
        asked = spec.get("terminationGracePeriodSeconds")
    if asked is None:
        asked = _DEFAULT_GRACE
    return int(asked) if asked >= 0 else 1


def _content_finalizers(served: Served, obj: Object) -> list[str]:
    """Of a namespace: who still has to empty it."""
    if served.key != "namespaces":
        return []
    return (obj.get("spec") or {}).get("finalizers") or []


def _announce(served: Served, obj: Object, now: datetime) -> None:
    status = obj.setdefault("status", {})
    if served.key == "namespaces":
        status["phase"] = "Terminating"
    elif served.key == "customresourcedefinitions.apiextensions.k8s.io":
        message = "CustomResource deletion is pending"
        status["conditions"] = set_condition(
            status.get("conditions") or [], "Terminating", "True", "InstanceDeletionPending", message, None, now
        )
    if not status:
        del obj["status"]
