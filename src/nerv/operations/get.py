"""Reading what `nerv get` shows: views of NERV's own, and for every other kind the table that the API server prints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from nerv.controllers.runtime import Informers
from nerv.errors import NervError
from nerv.kube import errors, objects, resources
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations import views
from nerv.operations.collect import Published
from nerv.operations.views import Facts, Row, Table, View

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_GATHER_SECONDS = 0.1


@dataclass(frozen=True)
class Query:
    """What is asked for. Empty: everything."""

    kind: str
    name: str = ""
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    not_ready: bool = False

    @property
    def field_selector(self) -> str:
        """Fields and name as one selector."""
        return ",".join(filter(None, (self.fields, f"metadata.name={self.name}" if self.name else "")))


@dataclass(frozen=True)
class Answer:
    """Tables, and what could not be read."""

    tables: tuple[Table, ...]
    objects: tuple[Object, ...]
    refused: tuple[str, ...] = field(default=())


async def read(client: Client, catalogue: Catalogue, query: Query, published: Published) -> Answer:
    """Everything that the query chooses. Raises NervError for a kind or a name that is not there."""
    if query.kind == "all":
        return await _read_all(client, catalogue, query, published)
    chosen = views.view(query.kind)
    if chosen is None:
        table = await _printed(client, catalogue.require(query.kind), query)
    else:
        table = await _viewed(client, catalogue, chosen, query, published)
    if query.not_ready:
        table = replace(table, rows=tuple(row for row in table.rows if row.ready is False))
    if query.name and not table.rows and not query.not_ready:
        where = f"namespace {query.namespace}" if query.namespace else "any namespace"
        raise NervError(f'{query.kind} "{query.name}" not found in {where}', f"`nerv get {query.kind}` lists them")
    return Answer((table,), tuple(row.object for row in table.rows))


async def _read_all(client: Client, catalogue: Catalogue, query: Query, published: Published) -> Answer:
    """Each kind of the overview; what is refused or not installed does not hide the rest."""
    parts = await asyncio.gather(
        *(read(client, catalogue, replace(query, kind=kind), published) for kind in views.ALL), return_exceptions=True
    )
    tables: list[Table] = []
    found: list[Object] = []
    refused: list[str] = []
    for part in parts:
        if isinstance(part, Answer):
            tables += part.tables
            found += part.objects
        elif isinstance(part, errors.Unreachable | errors.Unauthorized) or not isinstance(part, NervError):
            raise part
        else:
            refused += part.lines()
    return Answer(tuple(tables), tuple(found), tuple(refused))


async def _viewed(client: Client, catalogue: Catalogue, view: View, query: Query, published: Published) -> Table:
    installed = [(each, catalogue.of_kind(each.group, each.kind)) for each in view.resources]
    own = view.listed or view.resources[:1]
    if not any(served for each, served in installed if each in own):
        raise NervError(f"{view.title}: {own[0].qualified} is not installed in this cluster")
    lists = await asyncio.gather(
        *(_listed(client, served, query if each in own else Query("")) for each, served in installed if served)
    )
    return view.table(Facts(dict(lists), datetime.now(UTC), published))


async def _listed(client: Client, resource: Resource, query: Query) -> tuple[str, list[Object]]:
    try:
        found = await client.list(
            resource,
            query.namespace or None,
            label_selector=query.labels,
            field_selector=query.field_selector,
        )
    except errors.Forbidden as error:
        raise NervError(error.message, "" if query.namespace else "name a namespace with -n") from None
    return resource.kind, found.items


async def _printed(client: Client, resource: Resource, query: Query) -> Table:
    """The table that the server prints of a kind, with the namespace in front."""
    parameters = {"includeObject": "Object"}
    if query.labels:
        parameters["labelSelector"] = query.labels
    if query.field_selector:
        parameters["fieldSelector"] = query.field_selector
    path = resources.path(resource, query.namespace or None)
    answer = await client.raw("GET", path, query=parameters, accept=_TABLE)
    document: dict[str, Any] = orjson.loads(answer.body)
    if answer.status >= 400:
        refusal = errors.from_status({"code": answer.status, **document})
        hint = "name a namespace with -n" if resource.namespaced and not query.namespace else ""
        raise NervError(refusal.message, hint) if isinstance(refusal, errors.Forbidden) else refusal
    return _from_document(resource, document)


def _from_document(resource: Resource, document: dict[str, Any]) -> Table:
    """Columns of priority 0 first: the wide ones stand at the end."""
    definitions = document.get("columnDefinitions") or []
    order = sorted(range(len(definitions)), key=lambda index: bool(definitions[index].get("priority")))
    first = ("NAMESPACE",) if resource.namespaced else ()
    headers = (*first, *(definitions[index]["name"].upper() for index in order))
    rows = []
    for row in document.get("rows") or ():
        obj = row["object"]
        obj.setdefault("apiVersion", resource.api_version)
        obj.setdefault("kind", resource.kind)
        space = (objects.namespace(obj),) if resource.namespaced else ()
        cells = ("" if row["cells"][index] is None else str(row["cells"][index]) for index in order)
        rows.append(Row(obj, (*space, *cells), _readiness(obj)))
    wide = sum(bool(definition.get("priority")) for definition in definitions)
    return Table(resource.kind, headers, tuple(rows), wide)


def _readiness(obj: Object) -> bool | None:
    """By the condition Ready or Available, for kinds that have one; a pod that has ended well is ready."""
    if (obj.get("status") or {}).get("phase") == "Succeeded":
        return True
    for kind in ("Ready", "Available"):
        found = objects.condition(obj, kind)
        if found:
            return found.get("status") == "True"
    return None


@asynccontextmanager
async def following(client: Client, catalogue: Catalogue, query: Query) -> AsyncIterator[AsyncIterator[None]]:
    """Something for every burst of changes in what the query chooses; the lists are read again by the caller."""
    changed = asyncio.Event()
    informers = Informers(client)
    for resource in _resources(catalogue, query.kind):
        # joined kinds, and views over several, are followed whole: a name chooses rows, not what they are made of
        informer = informers.of(resource, query.namespace or None if resource.namespaced else None)
        informer.on_change(lambda old, new: changed.set())

    async def bursts() -> AsyncIterator[None]:
        while True:
            await changed.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            changed.clear()
            yield

    try:
        yield bursts()
    finally:
        await informers.stop()


def _resources(catalogue: Catalogue, kind: str) -> Iterator[Resource]:
    for word in views.ALL if kind == "all" else (kind,):
        chosen = views.view(word)
        if chosen is None:
            yield catalogue.require(word)
            continue
        for each in chosen.resources:
            served = catalogue.of_kind(each.group, each.kind)
            if served:
                yield served


def changed_rows(before: tuple[Table, ...], after: tuple[Table, ...]) -> Iterator[tuple[Table, Row, bool]]:
    """Each row that is new or says something new (True), and each that is gone (False). Ages alone change nothing."""
    for old, new in zip(before, after, strict=True):
        known = {_key(row): _told(old, row) for row in old.rows}
        present = {_key(row) for row in new.rows}
        for row in new.rows:
            if known.get(_key(row)) != _told(new, row):
                yield new, row, True
        for row in old.rows:
            if _key(row) not in present:
                yield new, row, False


def _key(row: Row) -> tuple[str, str]:
    return objects.kind(row.object), objects.key(row.object)


def _told(table: Table, row: Row) -> tuple[str, ...]:
    return tuple(cell for header, cell in zip(table.headers, row.cells, strict=True) if header != "AGE")
