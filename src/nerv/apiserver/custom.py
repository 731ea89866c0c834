"""The life of CustomResourceDefinitions in the server: settled when written, served when established, emptied when
deleted."""

from __future__ import annotations

from nerv.apiserver import definitions, registry, writes
from nerv.apiserver.context import Attributes, Context
from nerv.apiserver.deletion import Options
from nerv.apiserver.identity import ADMIN
from nerv.apiserver.requests import Call, Target
from nerv.apiserver.store import Change
from nerv.http.messages import Request
from nerv.kube import errors
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS

KEY = CUSTOM_RESOURCE_DEFINITIONS.qualified


def settle(context: Context, attributes: Attributes) -> None:
    """Admission: a written definition carries its conditions at once, so that nobody has to wait for them."""
    obj = attributes.obj
    if attributes.key != KEY or obj is None:
        return
    if attributes.operation == "CREATE":
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if definitions.CLEANUP_FINALIZER not in finalizers:
            finalizers.append(definitions.CLEANUP_FINALIZER)
    if not attributes.subresource:
        others = [entry.load() for entry in context.store.iterate(KEY)]
        obj.update(definitions.settle(obj, others, context.now()))


def follow(context: Context, change: Change) -> None:
    """Keep the registry in step with committed definitions."""
    if change.key != KEY:
        return
    crd = change.after.load()
    if change.deleted:
        context.registry.forget(change.after.name)
    elif registry.is_established(crd):
        context.registry.define(crd)


def terminating(context: Context) -> list[str]:
    """Definitions that wait for their objects to be deleted."""
    return [
        entry.name
        for entry in context.store.iterate(KEY)
        if b'"deletionTimestamp"' in entry.raw and _cleanup_waits(entry.load())
    ]


def _cleanup_waits(crd: dict[str, dict[str, list[str]]]) -> bool:
    meta = crd["metadata"]
    return "deletionTimestamp" in meta and definitions.CLEANUP_FINALIZER in (meta.get("finalizers") or ())


async def empty(context: Context, name: str) -> None:
    """Delete the objects of a terminating definition, and release it when none is left."""
    served = context.registry.custom(name)
    for entry in context.store.entries(name) if served else []:
        call = _call("delete", served[0].resource.group, served[0].resource.version, served[0].resource.plural)
        call = Call(call.request, call.user, call.target._replace(namespace=entry.namespace, name=entry.name))
        try:
            await writes.delete(context, served[0], call, entry.name, Options())
        except errors.NotFound:
            continue
    if context.store.entries(name):
        return
    definition = context.registry.require("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    call = _call("update", "apiextensions.k8s.io", "v1", "customresourcedefinitions")
    call = Call(call.request, call.user, call.target._replace(name=name))
    try:
        await writes.update(context, definition, call, _release)
    except errors.NotFound:
        return


def _release(crd: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
    finalizers = crd["metadata"]["finalizers"]
    crd["metadata"]["finalizers"] = [item for item in finalizers if item != definitions.CLEANUP_FINALIZER]
    return crd


def _call(verb: str, group: str, version: str, plural: str) -> Call:
    return Call(Request("", ""), ADMIN, Target(verb, "", group, version, plural))
