"""`nerv tree` and `nerv trace`: what belongs to an object, and where an object comes from."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from nerv.cli import output
from nerv.cli.output import Format
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, Output, chosen
from nerv.kube import catalogue as catalogues
from nerv.operations import reference, session
from nerv.operations import trace as tracing
from nerv.operations import tree as trees
from nerv.operations.reference import Reference
from nerv.operations.target import Target
from nerv.operations.trace import Step
from nerv.operations.tree import Key, Node

_OBJECT = "KIND/NAME, or KIND/NAMESPACE/NAME as NERV prints objects."
_MARKS = {
    "Current": "[green]●[/]",
    "InProgress": "[yellow]○[/]",
    "Suspended": "[dim]‖[/]",
    "Terminating": "[yellow]○[/]",
    "Unknown": "[yellow]○[/]",
}


def tree(
    context: typer.Context,
    about: Annotated[str, typer.Argument(metavar="KIND/NAME", help=_OBJECT)],
    namespace: Namespace = None,
    form: Output = Format.text,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> int:
    """Show everything that belongs to an object: a Kustomization's inventory, its releases, down to the pods."""
    written = Reference.parse(about, namespace)
    found, refused = asyncio.run(_tree(chosen(context, kubeconfig, kube_context), written))
    if form in (Format.json, Format.yaml):
        output.print_data(found.to_dict(), form)
    elif form is Format.name:
        for node in found.walk():
            print("/".join(filter(None, (node.kind.lower(), node.namespace, node.name))))
    else:
        output.console().print(_drawn(found, wide=form is Format.wide))
    for line in refused:
        output.talk().print(line, markup=False, soft_wrap=True)
    return 1 if refused else 0


async def _tree(target: Target, written: Reference) -> tuple[Node, tuple[str, ...]]:
    async with session.connect(target) as client:
        catalogue = await catalogues.read(client)
        _, obj = await reference.find(client, catalogue, written)
        world = await trees.read(client, catalogue, obj)
        return trees.grow(Key.of(obj), world), world.refused


def _drawn(node: Node, *, wide: bool, above: str = "") -> Tree:
    """A namespace is named where it changes; a message where something is not as it should be, or with `-o wide`."""
    place = f"{node.namespace}/" if node.namespace and node.namespace != above else ""
    told = f"{_MARKS.get(node.level, '[red]✗[/]')} {node.kind} {escape(place + node.name)}"
    if node.message and (wide or node.level != "Current"):
        told += f"  [dim]{escape(node.message)}[/]"
    drawn = Tree(told)
    for child in node.children:
        drawn.add(_drawn(child, wide=wide, above=node.namespace or above))
    return drawn


def trace(
    context: typer.Context,
    about: Annotated[str, typer.Argument(metavar="KIND/NAME", help=_OBJECT)],
    namespace: Namespace = None,
    form: Output = Format.text,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Show where an object comes from: owners, release, Kustomization, source and revision."""
    written = Reference.parse(about, namespace)
    steps = asyncio.run(_trace(chosen(context, kubeconfig, kube_context), written))
    if form in (Format.json, Format.yaml):
        output.print_data([step.to_dict() for step in steps], form)
    elif form is Format.name:
        for step in steps:
            print(_shown(step))
    else:
        rows = [[step.link, _shown(step), step.revision, step.level, step.detail, step.message] for step in steps]
        width = 6 if form is Format.wide else 5
        headers = ["", "OBJECT", "REVISION", "STATE", "FROM", "MESSAGE"]
        output.print_table(headers[:width], [row[:width] for row in rows])
        if len(steps) == 1 and "toolkit.fluxcd.io" not in steps[0].kind:
            output.talk().print("nothing of Flux applied it: no owner and no label of a Kustomization or HelmRelease")


def _shown(step: Step) -> str:
    return "/".join(filter(None, (step.kind.lower(), step.namespace, step.name)))


async def _trace(target: Target, written: Reference) -> list[Step]:
    async with session.connect(target) as client:
        catalogue = await catalogues.read(client)
        _, obj = await reference.find(client, catalogue, written)
        return await tracing.read(client, catalogue, obj)
