"""`nerv events`: what happened, oldest first, as in a log."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.output import Format
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, Output, chosen
from nerv.controllers.runtime import Informers
from nerv.kube import catalogue as catalogues
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS
from nerv.kube.tables import since
from nerv.operations import events as reading
from nerv.operations import reference, session
from nerv.operations.events import Event, Subject
from nerv.operations.reference import Reference
from nerv.operations.target import Target

_HEADERS = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE", "COUNT", "FROM")
_WIDE = 2


def events(
    context: typer.Context,
    about: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND/NAME",
            help="Only of this object, of what controllers made for it and of what it is fetched from.",
        ),
    ] = None,
    warnings: Annotated[bool, typer.Option("--warnings", help="Only warnings.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show every new event.")] = False,
    namespace: Namespace = None,
    form: Output = Format.text,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Show events, the newest last."""
    target = chosen(context, kubeconfig, kube_context)
    written = Reference.parse(about, namespace) if about else None
    asyncio.run(_run(target, written, namespace, form, warnings=warnings, watch=watch))


async def _run(
    target: Target, written: Reference | None, namespace: str | None, form: Format, *, warnings: bool, watch: bool
) -> None:
    async with session.connect(target) as client:
        subjects: set[Subject] | None = None
        if written:
            catalogue = await catalogues.read(client)
            _, obj = await reference.find(client, catalogue, written)
            subjects = await reading.about(client, catalogue, obj)
            namespace = None  # a source may stand in another one
        listed = (await client.list(EVENTS, namespace)).items
        found = reading.select(listed, subjects, warnings=warnings)
        if found or form in (Format.json, Format.yaml):
            _show(found, form)
        elif not watch:
            output.say("no events; a cluster keeps them for an hour")
        if watch:
            await _follow(client, namespace, listed, subjects, form, warnings=warnings)


def _show(found: list[Event], form: Format) -> None:
    if form in (Format.json, Format.yaml):
        output.print_data([event.to_dict() for event in found], form)
    elif form is Format.name:
        for event in found:
            print(_subject(event))
    else:
        width = len(_HEADERS) - (0 if form is Format.wide else _WIDE)
        now = datetime.now(UTC)
        output.print_table(_HEADERS[:width], [_row(event, now)[:width] for event in found])


def _row(event: Event, now: datetime) -> list[str]:
    kind = "Warning" if event.warning else "Normal"
    age = since(event.time, now)
    return [age, kind, event.reason, _subject(event), event.message, str(event.count), event.source]


def _subject(event: Event) -> str:
    return "/".join(filter(None, (event.kind.lower(), event.namespace, event.name)))


async def _follow(
    client: Client,
    namespace: str | None,
    listed: list[Object],
    subjects: set[Subject] | None,
    form: Format,
    *,
    warnings: bool,
) -> None:
    """Print each event that is new or has happened again, until the command is stopped."""
    known = {event["metadata"]["uid"]: event["metadata"].get("resourceVersion") for event in listed}
    arrived: asyncio.Queue[Object] = asyncio.Queue()
    informers = Informers(client)
    informers.of(EVENTS, namespace).on_change(lambda old, new: arrived.put_nowait(new) if new else None)
    try:
        while True:
            event = await arrived.get()
            uid, version = event["metadata"]["uid"], event["metadata"].get("resourceVersion")
            if known.get(uid) == version:
                continue
            known[uid] = version
            for each in reading.select([event], subjects, warnings=warnings):
                if form in (Format.json, Format.yaml):
                    output.print_data(each.to_dict(), form)
                else:
                    print("   ".join(_row(each, datetime.now(UTC))[: len(_HEADERS) - _WIDE]), flush=True)
    finally:
        await informers.stop()
