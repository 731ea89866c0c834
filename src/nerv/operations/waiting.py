"""Waiting for an object, or for all of them: event-driven, telling what it waits for, and naming it in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nerv.controllers.runtime import Informers
from nerv.errors import NervError
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations import reference
from nerv.operations.status import Status
from nerv.operations.watching import StatusWatch

Say = Callable[[str], None]
_GATHER_SECONDS = 0.2


def ready_message(obj: Object) -> str:
    """Of the condition Ready, while that is not True."""
    ready = objects.condition(obj, "Ready") or {}
    return str(ready.get("message", "")) if ready.get("status") != "True" else ""


async def until(
    client: Client,
    resource: Resource,
    obj: Object,
    holds: Callable[[Object], bool],
    *,
    timeout: float,
    say: Say,
    what: str,
    word: Callable[[Object], str] = ready_message,
) -> Object:
    """The object once `holds`. What it says of itself, by `word`, is said when it is new.

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
                told = word(found)
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


async def healthy(client: Client, read: Callable[[], Awaitable[Status]], *, timeout: float, say: Say) -> Status:
    """The status once everything is ready, read anew at every change. Each new first thing that is waited for is said.

    Raises NervError after `timeout` seconds with what is still waited for, and at once for what cannot be read.
    """
    informers = Informers(client)
    watch = StatusWatch(informers)
    said = ""
    try:
        async with asyncio.timeout(timeout):
            while True:
                found = await read()
                if found.refused:
                    raise NervError(found.refused[0], "what may not be read cannot be waited for")
                if found.healthy:
                    return found
                first = (found.waiting() or ("its first reconciliation",))[0]
                if first != said:
                    said = first
                    say(f"waiting for {first}")
                await watch.next()
                await asyncio.sleep(_GATHER_SECONDS)
    except TimeoutError:
        raise NervError(
            f"not healthy after {timeout:g} s, it still waits for {said or 'an answer'}", "`nerv why`"
        ) from None
    finally:
        await informers.stop()
