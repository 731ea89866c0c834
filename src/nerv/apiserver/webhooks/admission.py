"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: AdmissionReview v1, failure policies, patches, warnings."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nerv.apiserver import conversion, shaping
from nerv.apiserver.access.reviews import describe
from nerv.apiserver.context import Attributes, Context
from nerv.apiserver.registry import Served
from nerv.apiserver.webhooks import matching, responses
from nerv.apiserver.webhooks.answers import quoted
from nerv.apiserver.webhooks.calling import Endpoint
from nerv.apiserver.webhooks.failures import CallFailed, NotCallable
from nerv.apiserver.webhooks.responses import Response
from nerv.kube import cel, errors, patches
from nerv.kube.objects import Object

_MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
_VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_USUAL_TIMEOUT = 10
_JSON_PATCH = "JSONPatch"


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
    outcomes = await asyncio.gather(
        *(_ask(context, attributes, hook, mutating=False) for hook in hooks), return_exceptions=True
    )
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
    response = await _ask(context, attributes, hook, mutating=True)
    if not response.patch or attributes.obj is None:
        return
    if response.patch_type != _JSON_PATCH:
        _give_up(hook, CallFailed(f"unsupported patch type {quoted(response.patch_type)}"))
        return
    try:
        operations = orjson.loads(response.patch)
        changed = patches.json_patch(_recast(attributes.obj, hook.served), operations)
    except (orjson.JSONDecodeError, patches.PatchError) as error:
        raise errors.InternalError(f"Internal error occurred: {error}") from None
    changed = conversion.recast(changed, attributes.served.resource.api_version)
    shaping.decode(attributes.served, changed, "Ignore", [])
    # in place: the caller and later plugins hold the same object
    attributes.obj.clear()
    attributes.obj.update(changed)


async def _ask(context: Context, attributes: Attributes, hook: _Hook, *, mutating: bool) -> Response:
    """The response of a webhook that allows; one that changes nothing if its failure is ignored."""
    review = {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": _request(attributes, hook, str(uuid.uuid4())),
    }
    try:
        response = responses.verified(await _call(context, hook, review), review, mutating=mutating)
    except CallFailed as failure:
        _give_up(hook, failure)
        return Response()
    attributes.warnings += response.warnings
    if not response.allowed:
        raise responses.denial(hook.name, response.status)
    return response


async def _call(context: Context, hook: _Hook, review: Object) -> Object:
    """The answer of a webhook. Raises CallFailed."""
    timeout = hook.spec.get("timeoutSeconds") or _USUAL_TIMEOUT
    try:
        return await context.webhooks.post(Endpoint.of(hook.spec["clientConfig"]), review, timeout)
    except NotCallable as failure:
        raise CallFailed(f"could not get REST client: {failure}") from None
    except CallFailed as failure:
        raise CallFailed(f"failed to call webhook: {failure}") from None


def _give_up(hook: _Hook, failure: CallFailed) -> None:
    """Raises errors.InternalError, unless the webhook's failures are ignored."""
    if not hook.ignores_failure:
        text = f'failed calling webhook "{hook.name}": {failure}'
        raise errors.InternalError(f"Internal error occurred: {text}", {"causes": [{"message": text}]}) from None


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
