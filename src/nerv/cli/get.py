"""`nerv get`: tables of what a cluster holds."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.output import Format
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, Output, chosen
from nerv.errors import NervError
from nerv.kube import catalogue as catalogues
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.operations import get as reading
from nerv.operations import reference, session
from nerv.operations.collect import Published
from nerv.operations.get import Answer, Query
from nerv.operations.target import Target
from nerv.operations.views import Row, Table

_KIND = (
    "kustomizations (ks), helmreleases (hr), sources, gitrepositories ..., receivers, nodes, pods, certificates, "
    "volumes, addresses, all, or any other kind of the cluster"
)


def get(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help=_KIND)],
    name: Annotated[str | None, typer.Argument(help="One object; without it all.")] = None,
    namespace: Namespace = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="All namespaces; so it is without -n.")
    ] = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="Only objects with these labels.")] = "",
    fields: Annotated[str, typer.Option("--field-selector", help="Only objects with these fields.")] = "",
    not_ready: Annotated[bool, typer.Option("--not-ready", help="Only what is not ready.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show every change.")] = False,
    form: Output = Format.text,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> int:
    """Show objects: whether they are ready and why not, their revision, whether they are suspended, their age."""
    kind, slash, behind = kind.partition("/")
    if slash:
        written = reference.Reference.parse(f"{kind}/{behind}", namespace)
        name, namespace = written.name, written.namespace or None
    if namespace and all_namespaces:
        raise NervError("-n and -A exclude each other", "leave one out")
    query = Query(kind.lower(), name or "", namespace or "", selector, fields, not_ready)
    return asyncio.run(_run(chosen(context, kubeconfig, kube_context), query, form, watch=watch))


async def _run(target: Target, query: Query, form: Format, *, watch: bool) -> int:
    async with session.connect(target) as client:
        catalogue = await catalogues.read(client)
        published = session.published(target)
        answer = await reading.read(client, catalogue, query, published)
        _show(answer, query, form)
        if watch:
            await _follow(client, catalogue, query, published, form, answer)
    return 1 if answer.refused else 0


def _show(answer: Answer, query: Query, form: Format) -> None:
    if form in (Format.json, Format.yaml):
        single = query.name and len(answer.objects) == 1
        output.print_data(answer.objects[0] if single else output.as_list(answer.objects), form)
    elif form is Format.name:
        for obj in answer.objects:
            print(reference.shown(obj))
    else:
        _show_tables(answer, query, wide=form is Format.wide)
    for line in answer.refused:
        output.talk().print(line, markup=False, soft_wrap=True)


def _show_tables(answer: Answer, query: Query, *, wide: bool) -> None:
    several = len(answer.tables) > 1
    filled = [table for table in answer.tables if table.rows]
    for number, table in enumerate(filled):
        if several:
            print(f"{'' if number == 0 else chr(10)}{table.title}")
        headers = _columns(table, table.headers, wide=wide)
        output.print_table(headers, [_columns(table, row.cells, wide=wide) for row in table.rows])
    if not filled:
        where = f"in namespace {query.namespace}" if query.namespace else "in this cluster"
        what = "everything is ready" if query.not_ready else f"no {query.kind} {where}"
        output.talk().print(what, markup=False)


def _columns(table: Table, cells: tuple[str, ...], *, wide: bool) -> tuple[str, ...]:
    return cells if wide else cells[: len(cells) - table.wide]


async def _follow(
    client: Client, catalogue: Catalogue, query: Query, published: Published, form: Format, before: Answer
) -> None:
    async with reading.following(client, catalogue, query) as bursts:
        async for _ in bursts:
            after = await reading.read(
                client,
                catalogue,
                Query(query.kind, "", query.namespace, query.labels, query.fields, query.not_ready),
                published,
            )
            for table, row, present in reading.changed_rows(before.tables, after.tables):
                if not query.name or row.object["metadata"]["name"] == query.name:
                    _show_change(table, row, present, form)
            sys.stdout.flush()
            before = after


def _show_change(table: Table, row: Row, present: bool, form: Format) -> None:
    if form in (Format.json, Format.yaml):
        output.print_data({"type": "CHANGED" if present else "DELETED", "object": row.object}, form)
    elif form is Format.name:
        print(reference.shown(row.object))
    else:
        cells = _columns(table, row.cells, wide=form is Format.wide)
        print("  ".join(cells if present else (*cells[:2], "deleted")))
