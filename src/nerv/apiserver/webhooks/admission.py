"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: AdmissionReview v1, failure policies, patches, warnings."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nerv.apiserver import conversion, shaping
from nerv.apiserver.access.reviews import describe
from nerv.apiserver.context import Attributes, Context
from nerv.apiserver.registry import Served
from nerv.apiserver.webhooks import matching
from nerv.apiserver.webhooks.answers import CallFailed
from nerv.apiserver.webhooks.calling import Endpoint
from nerv.kube import cel, errors, patches
from nerv.kube.objects import Object

_MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
_VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_USUAL_TIMEOUT = 10
_BAD_REQUEST = 400


@dataclass(frozen=True)
class _Hook:
    """One webhook that is to be asked, and in which version."""

    spec: Mapping[str, Any]
    served: Served

    @property
    def name(self) -> str:
        name: str = self.spec["name"]
        return name

    @property
    def ignores_failure(self) -> bool:
        return bool(self.spec.get("failurePolicy") == "Ignore")


async def mutate(context: Context, attributes: Attributes) -> None:
    """Ask every mutating webhook in turn, and those that want it again when a later one changed something.

    Raises errors.ApiError when one denies or cannot be asked.
    """
    if attributes.obj is None or attributes.operation == "DELETE":
        return
    asked: list[tuple[_Hook, Object]] = []
    for hook in _chosen(context, attributes, _MUTATING):
        await _mutate(context, attributes, hook)
        asked.append((hook, orjson.loads(orjson.dumps(attributes.obj))))
    for hook, left in asked:
        if hook.spec.get("reinvocationPolicy") == "IfNeeded" and left != attributes.obj:
            await _mutate(context, attributes, hook)


async def validate(context: Context, attributes: Attributes) -> None:
    """Ask all validating webhooks at once. Raises errors.ApiError when one denies or cannot be asked."""
    hooks = list(_chosen(context, attributes, _VALIDATING))
    if not hooks:
        return
    outcomes = await asyncio.gather(*(_ask(context, attributes, hook) for hook in hooks), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _chosen(context: Context, attributes: Attributes, key: str) -> Iterator[_Hook]:
    """Configurations by name, their webhooks in order."""
    for entry in context.store.entries(key):
        for spec in entry.load().get("webhooks") or ():
            served = matching.served_for(context.registry, attributes, spec)
            if served is not None and matching.selected(context.store, attributes, spec):
                hook = _Hook(spec, served)
                if _conditions_hold(attributes, hook):
                    yield hook


def _conditions_hold(attributes: Attributes, hook: _Hook) -> bool:
    """`matchConditions`: CEL over the request. Raises errors.Forbidden, unless failures are ignored."""
    conditions = hook.spec.get("matchConditions") or ()
    if not conditions:
        return True
    variables = {"object": attributes.obj, "oldObject": attributes.old, "request": _request(attributes, hook, "")}
    try:
        return all(cel.evaluate(item["expression"], variables) is True for item in conditions)
    except cel.CelError as error:
        if hook.ignores_failure:
            return False
        raise attributes.served.forbidden(attributes.name, f"{hook.name}: {error}") from None


async def _mutate(context: Context, attributes: Attributes, hook: _Hook) -> None:
    response = await _ask(context, attributes, hook)
    patch = response.get("patch")
    if not patch or attributes.obj is None:
        return
    try:
        shown = _recast(attributes.obj, hook.served)
        changed = patches.json_patch(shown, orjson.loads(base64.b64decode(patch)))
    except (ValueError, patches.PatchError) as error:
        raise errors.InternalError(f"Internal error occurred: {error}") from None
    changed = conversion.recast(changed, attributes.served.resource.api_version)
    shaping.decode(attributes.served, changed, "Ignore", [])
    # in place: the caller and later plugins hold the same object
    attributes.obj.clear()
    attributes.obj.update(changed)


async def _ask(context: Context, attributes: Attributes, hook: _Hook) -> Object:
    """The response of a webhook that allows; an empty one if its failure is ignored."""
    identifier = str(uuid.uuid4())
    review = {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": _request(attributes, hook, identifier),
    }
    timeout = hook.spec.get("timeoutSeconds") or _USUAL_TIMEOUT
    try:
        try:
            answer = await context.webhooks.post(Endpoint.of(hook.spec["clientConfig"]), review, timeout)
        except CallFailed as failure:
            raise CallFailed(f"failed to call webhook: {failure}") from None
        response = _response(answer, identifier)
    except CallFailed as failure:
        if hook.ignores_failure:
            return {}
        text = f'failed calling webhook "{hook.name}": {failure}'
        raise errors.InternalError(f"Internal error occurred: {text}", {"causes": [{"message": text}]}) from None
    attributes.warnings += response.get("warnings") or ()
    if not response.get("allowed"):
        raise _denial(hook.name, response.get("status") or {})
    return response


def _response(answer: Object, identifier: str) -> Object:
    response: Object | None = answer.get("response")
    if response is None:
        raise CallFailed("received invalid webhook response: webhook response was absent")
    if response.get("uid") != identifier:
        wrong = f'expected response.uid="{identifier}", got "{response.get("uid", "")}"'
        raise CallFailed(f"received invalid webhook response: {wrong}")
    return response


def _denial(name: str, status: Mapping[str, Any]) -> errors.ApiError:
    """The webhook's own status under its name: no reason is added, and a code that is none of a refusal is 400."""
    text = f'admission webhook "{name}" denied the request'
    if status.get("message"):
        text += f": {status['message']}"
    elif status.get("reason"):
        text += f": {status['reason']}"
    else:
        text += " without explanation"
    code = max(status.get("code") or 0, _BAD_REQUEST)
    return errors.from_status({**status, "code": code, "message": text})


def _request(attributes: Attributes, hook: _Hook, identifier: str) -> Object:
    resource, asked = hook.served.resource, attributes.served.resource
    request: Object = {
        "uid": identifier,
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "requestKind": {"group": asked.group, "version": asked.version, "kind": asked.kind},
        "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
        "name": attributes.name,
        "operation": attributes.operation,
        "userInfo": describe(attributes.user),
        "object": None if attributes.operation == "DELETE" else _shown(attributes.obj, hook.served),
        "oldObject": _shown(attributes.old, hook.served),
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }
    if attributes.subresource:
        request |= {"subResource": attributes.subresource, "requestSubResource": attributes.subresource}
    if attributes.namespace:
        request["namespace"] = attributes.namespace
    elif attributes.key == "namespaces":
        request["namespace"] = attributes.name
    return request


def _shown(obj: Object | None, served: Served) -> Object | None:
    return None if obj is None else _recast(obj, served)


def _recast(obj: Object, served: Served) -> Object:
    if obj.get("apiVersion") == served.resource.api_version:
        return obj
    return conversion.recast(dict(obj), served.resource.api_version)
