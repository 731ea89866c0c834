"""Parts of objects with paths of their own: scale, binding, eviction, token."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import orjson

from nerv.apiserver import bodies, disruption, patching, reads, writes
from nerv.apiserver.context import Context
from nerv.apiserver.deletion import Options
from nerv.apiserver.registry import Served
from nerv.apiserver.requests import Call
from nerv.apiserver.tokens import Claims
from nerv.http.messages import Response
from nerv.kube import errors
from nerv.kube.objects import Object, clone, set_condition, timestamp

_SHORTEST_TOKEN = 600
_USUAL_TOKEN = 3600
_LONGEST_TOKEN = 1 << 32


async def scale(context: Context, served: Served, call: Call) -> Response:
    """autoscaling/v1 Scale of a workload or of a custom resource that has it."""
    if call.target.verb == "get":
        return _json(200, _scale_of(served, reads.require(context.store, served, call).load()))

    def make(old: Object) -> Object:
        shown = _scale_of(served, old)
        wanted = (
            bodies.decode(call.request) if call.target.verb == "update" else patching.change_of(served, call)(shown)
        )
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise served.conflict(call.target.name)
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            cause = {
                "reason": "FieldValueInvalid",
                "message": f"Invalid value: {replicas}: must be greater than or equal to 0",
                "field": "spec.replicas",
            }
            raise errors.invalid("Scale", "autoscaling", call.target.name, [cause])
        _put(old, _paths(served)[0], replicas)
        return old

    # nobody owns the replicas of a custom resource for having scaled it
    written = await writes.update(context, served, _without_subresource(call), make, tracked=not served.builtin)
    return _json(200, _scale_of(served, orjson.loads(written.raw)))


def _paths(served: Served) -> tuple[str, str, str]:
    """Where wanted replicas, present replicas and the selector stand."""
    definition = served.definition
    if definition is None or definition.scale is None:
        return "spec.replicas", "status.replicas", ""
    scale = definition.scale
    return (
        scale["specReplicasPath"].lstrip("."),
        scale["statusReplicasPath"].lstrip("."),
        scale.get("labelSelectorPath", "").lstrip("."),
    )


def _scale_of(served: Served, obj: Object) -> Object:
    meta = obj["metadata"]
    wanted, present, selector_path = _paths(served)
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _at(obj, present) or 0}
    selector = _at(obj, selector_path) if selector_path else (obj.get("spec") or {}).get("selector")
    if selector:
        status["selector"] = selector if isinstance(selector, str) else _selector_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: meta[field] for field in fields if field in meta},
        "spec": {"replicas": replicas} if (replicas := _at(obj, wanted)) else {},
        "status": status,
    }


def _selector_text(selector: dict[str, Any]) -> str:
    labels = selector.get("matchLabels") if "matchLabels" in selector or "matchExpressions" in selector else selector
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


async def bind(context: Context, served: Served, call: Call) -> Response:
    """Give a pod its node. Raises errors.Conflict when it has one."""
    binding = bodies.decode(call.request)
    node = (binding.get("target") or {}).get("name") or ""
    annotations = (binding.get("metadata") or {}).get("annotations") or {}

    def make(pod: Object) -> Object:
        name = pod["metadata"]["name"]
        if pod["metadata"].get("deletionTimestamp"):
            why = f"pod {name} is being deleted, cannot be assigned to a host"
            raise errors.conflict("pods/binding", "", name, why)
        if pod["spec"].get("nodeName"):
            why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise errors.conflict("pods/binding", "", name, why)
        pod["spec"]["nodeName"] = node
        if annotations:
            pod["metadata"].setdefault("annotations", {}).update(annotations)
        status = pod.setdefault("status", {})
        status["conditions"] = set_condition(
            status.get("conditions") or [], "PodScheduled", "True", "", "", None, context.now()
        )
        for condition in status["conditions"]:
            if condition["type"] == "PodScheduled":
                condition.pop("reason", None)
                condition.pop("message", None)
        return pod

    await writes.update(context, served, call, make)
    return _json(201, {**errors.success(), "code": 201})


async def evict(context: Context, served: Served, call: Call) -> Response:
    """Delete a pod if its disruption budget allows. Raises errors.TooManyRequests."""
    eviction = bodies.decode(call.request, "Eviction")
    meta = eviction.get("metadata") or {}
    if isinstance(meta, dict) and meta.get("name", call.target.name) != call.target.name:
        raise errors.BadRequest("name in URL does not match name in Eviction object")
    options = Options.from_object(eviction.get("deleteOptions") or {}, call.dry_run)
    pod = reads.require(context.store, served, call).load()
    if not options.dry_run:
        await disruption.spend(context, pod)
    await writes.delete(context, served, call, call.target.name, options)
    return _json(201, {**errors.success(), "code": 201})


async def token(context: Context, served: Served, call: Call) -> Response:
    """TokenRequest: a token of a service account, bound to a living pod where asked."""
    account = reads.require(context.store, served, call)
    request = bodies.decode(call.request)
    spec = request.get("spec") or {}
    seconds = int(spec.get("expirationSeconds") or _USUAL_TOKEN)
    if not _SHORTEST_TOKEN <= seconds <= _LONGEST_TOKEN:
        message = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        cause = {"reason": "FieldValueInvalid", "message": message, "field": "spec.expirationSeconds"}
        raise errors.invalid("TokenRequest", "authentication.k8s.io", "", [cause])
    issued = int(context.now().timestamp())
    pod_name, pod_uid = _bound_pod(context, account.namespace, account.name, spec.get("boundObjectRef") or {})
    audiences = tuple(spec.get("audiences") or context.signer.audiences)
    claims = Claims(
        account.namespace,
        account.name,
        account.uid,
        audiences,
        issued,
        issued + seconds,
        pod_name,
        pod_uid,
        identifier=str(uuid.uuid4()),
    )
    answer = clone(request)
    answer |= {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
    answer["metadata"] = {
        "name": account.name,
        "namespace": account.namespace,
        "creationTimestamp": timestamp(context.now()),
    }
    answer["spec"] = {"boundObjectRef": None, **spec, "audiences": list(audiences), "expirationSeconds": seconds}
    expires = datetime.fromtimestamp(claims.expires, UTC)
    answer["status"] = {"token": context.signer.sign(claims), "expirationTimestamp": timestamp(expires)}
    return _json(201, answer)


def _bound_pod(context: Context, namespace: str, account: str, reference: Object) -> tuple[str, str]:
    """Name and uid of the pod a token is bound to. Raises errors.NotFound, errors.Conflict, errors.BadRequest."""
    if not reference:
        return "", ""
    if reference.get("kind") != "Pod":
        raise errors.BadRequest(f"cannot bind token to object of type {reference.get('kind')}")
    entry = context.store.get("pods", namespace, reference.get("name", ""))
    if entry is None:
        raise errors.not_found("pods", "", reference.get("name", ""))
    if reference.get("uid") and reference["uid"] != entry.uid:
        raise errors.conflict(
            "pods",
            "",
            entry.name,
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record",
        )
    if (entry.load()["spec"].get("serviceAccountName") or "default") != account:
        raise errors.BadRequest(f'cannot bind token for serviceaccount "{account}" to pod running with another')
    return entry.name, entry.uid


def _without_subresource(call: Call) -> Call:
    return Call(call.request, call.user, call.target._replace(subresource=""))


def _json(status: int, obj: Object) -> Response:
    return Response(status, orjson.dumps(obj))
