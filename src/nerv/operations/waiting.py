"""Waiting for one object: event-driven, telling what it waits for, and naming it when the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nerv.controllers.runtime import Informers
from nerv.errors import NervError
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations import reference

Say = Callable[[str], None]


async def until(
    client: Client,
    resource: Resource,
    obj: Object,
    holds: Callable[[Object], bool],
    *,
    timeout: float,
    say: Say,
    what: str,
) -> Object:
    """The object once `holds`. Every new message of its Ready condition is said, while that is not True.

    Raises NervError after `timeout` seconds, with what was waited for and its last word, or when the object is deleted.
    """
    name, namespace = objects.name(obj), objects.namespace(obj) or None
    informers = Informers(client)
    informer = informers.of(resource, namespace, field_selector=f"metadata.name={name}")
    changed = asyncio.Event()
    informer.on_change(lambda old, new: changed.set())
    waiting = f"waiting for {what} of {reference.shown(obj)}"
    said = ""
    say(waiting)
    try:
        async with asyncio.timeout(timeout):
            await informer.synced.wait()
            while True:
                found = informer.get(namespace, name)
                if found is None:
                    raise NervError(f"{reference.shown(obj)} was deleted meanwhile")
                if holds(found):
                    return found
                ready = objects.condition(found, "Ready") or {}
                told = ready.get("message", "") if ready.get("status") != "True" else ""
                if told not in ("", said):
                    said = told
                    say(f"{waiting}: {told}")
                changed.clear()
                await changed.wait()
    except TimeoutError:
        last = f": {said}" if said else ", which says nothing"
        raise NervError(
            f"{reference.shown(obj)} still waits for {what} after {timeout:g} s{last}",
            f"`nerv why {reference.shown(obj)}`",
        ) from None
    finally:
        await informers.stop()
