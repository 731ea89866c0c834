"""`nerv status`: what runs, what is ready, and what the rest waits for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from nerv.cli import output
from nerv.cli.output import Format
from nerv.cli.target import Kubeconfig, KubeContext, Output, chosen
from nerv.operations import session
from nerv.operations.status import Item, PodItem, Program, Status, short_revision

_MARK = {"True": ("●", "green"), "False": ("✗", "red"), "Unknown": ("○", "yellow")}


def status(
    context: typer.Context,
    form: Output = Format.text,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> int:
    """Show the platform's state; exit code 0 only when everything is ready."""
    found = asyncio.run(session.status(chosen(context, kubeconfig, kube_context)))
    if form in (Format.text, Format.wide):
        output.console().print(page(found, wide=form is Format.wide))
    elif form is Format.name:
        for item in found.flux_objects:
            print(f"{item.kind.lower()}/{item.namespace}/{item.name}")
    else:
        output.print_data(found.to_dict(), form)
    return 0 if found.healthy else 1


def page(found: Status, *, wide: bool = False) -> RenderableType:
    """The whole status as text; wide with every pod."""
    parts: list[RenderableType] = [
        Text.from_markup(f"[bold]{escape(found.name)}[/] on {escape(found.place)}: {_verdict(found)}"),
        Text(""),
        output.table(
            ["", "KIND", "NAMESPACE/NAME", "REVISION", "MESSAGE"],
            [_row(item) for item in found.flux_objects],
        ),
        Text(""),
        Text(_pods_line(found)),
    ]
    parts += [
        Text(f"Address         {a.address} on Service {a.namespace}/{a.service}{_here(a.published)}")
        for a in found.addresses
    ]
    parts += [Text(f"Dashboard       {d.url}") for d in found.dashboards]
    if found.stand_ins:
        parts.append(
            Text(f"Stand-in charts {', '.join(found.stand_ins)} (`nerv.dev/stand-in`: NERV's own, same interfaces)")
        )
    parts += [Text(f"{label:<15} {line}") for label, line in zip(_labels("Network"), found.network, strict=False)]
    parts += [Text(f"{label:<15} {line}") for label, line in zip(_labels("Offline"), found.offline, strict=False)]
    if found.programs:
        parts.append(Text(f"Programs        {', '.join(_program(each) for each in found.programs)}"))
    if found.other_versions:
        parts.append(Text(f"Other versions  {', '.join(found.other_versions)} (`nerv engine versions`)"))
    if wide and found.pods:
        parts += [Text(""), _pods(found)]
    if found.missing:
        parts.append(Text(f"Not installed   {', '.join(found.missing)}"))
    parts += [Text(f"Not readable    {line}", style="red") for line in found.refused]
    waiting = found.waiting()
    if waiting:
        parts += [Text(""), Text("Waiting for:", style="bold"), *(Text(f"  {line}") for line in waiting)]
    return Group(*parts)


def _program(program: Program) -> str:
    return f"{program.name} {program.version}{f' (pinned: {program.pinned})' if program.differs else ''}"


def _labels(first: str) -> Iterator[str]:
    """A label for the first line of several."""
    yield first
    while True:
        yield ""


def summary(found: Status) -> str:
    """`3 of 3 Kustomizations, 4 of 4 HelmReleases, 31 of 31 pods`"""
    kustomizations = sum(item.ready == "True" for item in found.kustomizations)
    releases = sum(item.ready == "True" for item in found.releases)
    pods = sum(pod.ready for pod in found.pods)
    return (
        f"{kustomizations} of {len(found.kustomizations)} Kustomizations Ready, "
        f"{releases} of {len(found.releases)} HelmReleases Ready, {pods} of {len(found.pods)} pods Running"
    )


def _verdict(found: Status) -> str:
    colour = "green" if found.healthy else "yellow"
    return f"[{colour}]{'healthy' if found.healthy else 'not ready yet'}[/], {summary(found)}"


def _row(item: Item) -> list[str]:
    mark, colour = _MARK[item.ready]
    if item.suspended:
        mark, colour = "‖", "dim"
    return [
        f"[{colour}]{mark}[/]",
        item.kind,
        f"{item.namespace}/{item.name}",
        escape(short_revision(item.revision)),
        escape(item.message or item.reason or "not reconciled yet"),
    ]


def _pods_line(found: Status) -> str:
    namespaces = {pod.namespace for pod in found.pods}
    told = f" ({_runtimes(found.pods)})" if any(pod.runtime for pod in found.pods) else ""
    console_ready = sum(pod.ready for pod in found.console_pods)
    more = f"; console {console_ready} of {len(found.console_pods)} in nerv-system" if found.console_pods else ""
    ready = sum(pod.ready for pod in found.pods)
    return f"Pods            {ready} of {len(found.pods)} Running in {len(namespaces)} namespaces{told}{more}"


def _runtimes(pods: Sequence[PodItem]) -> str:
    kinds = Counter(pod.runtime or "not started" for pod in pods)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _pods(found: Status) -> RenderableType:
    rows = [
        [pod.namespace, pod.name, pod.phase, pod.runtime, escape(pod.waits or pod.owner)]
        for pod in (*found.pods, *found.console_pods)
    ]
    return output.table(["NAMESPACE", "POD", "PHASE", "RUNTIME", "WAITS FOR / OWNER"], rows)


def _here(published: tuple[str, ...]) -> str:
    return f", here {' and '.join(published)}" if published else ""
