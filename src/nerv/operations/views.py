"""What `nerv get` shows of each kind: columns and rows, pure functions over objects.

Kinds without a view of their own are shown as the API server prints them (`get.py`), as kubectl does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, SERVICES, Resource
from nerv.kube.tables import age, human
from nerv.operations import kinds
from nerv.operations.collect import Published
from nerv.operations.status import Item, short_revision


@dataclass(frozen=True)
class Facts:
    """The lists that a view is made of, by kind, and the moment they were read."""

    lists: Mapping[str, Sequence[Object]]
    now: datetime
    published: Published = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One object. `cells` in the order of the table's columns; `ready` is None for kinds that are neither."""

    object: Object
    cells: tuple[str, ...]
    ready: bool | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headers. `wide` counts the last columns, which are shown with `-o wide` alone."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    wide: int = 0


@dataclass(frozen=True)
class View:
    """A table that NERV makes itself. The first of `resources` is what its rows are; others are joined to it."""

    title: str
    words: tuple[str, ...]
    resources: tuple[Resource, ...]
    headers: tuple[str, ...]
    rows: Callable[[Facts], Iterable[Row]]
    wide: int = 0
    listed: tuple[Resource, ...] = ()
    """whose objects `-o json|yaml|name` gives; empty: the first resource's"""

    def table(self, facts: Facts) -> Table:
        """The view of `facts`."""
        return Table(self.title, self.headers, tuple(self.rows(facts)), self.wide)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the rows' objects."""
        return tuple(resource.kind for resource in self.listed or self.resources[:1])


def _flux(*resources: Resource, with_kind: bool = False) -> Callable[[Facts], Iterable[Row]]:
    def rows(facts: Facts) -> Iterable[Row]:
        for resource in resources:
            for obj in _sorted(facts.lists.get(resource.kind, ())):
                yield _flux_row(obj, facts.now, with_kind)

    return rows


def _flux_row(obj: Object, now: datetime, with_kind: bool) -> Row:
    item = Item.from_object(obj)
    spec = obj.get("spec") or {}
    told = bool(obj.get("status"))
    cells = (
        item.namespace,
        *([item.kind] if with_kind else []),
        item.name,
        item.ready if told else "-",
        short_revision(item.revision) or "-",
        str(item.suspended),
        age(obj, now),
        item.message or item.reason or "not reconciled yet",
        source_of(spec) or "-",
        ", ".join(item.waits_for) or "-",
    )
    return Row(obj, cells, item.ready == "True")


def source_of(spec: Mapping[str, Any]) -> str:
    """What a Flux object takes its content from, in words: `GitRepository/flux-system`, a URL."""
    chart = ((spec.get("chart") or {}).get("spec") or {}) if isinstance(spec.get("chart"), dict) else {}
    reference = spec.get("sourceRef") or spec.get("chartRef") or chart.get("sourceRef")
    if reference:
        return f"{reference.get('kind', '')}/{reference.get('name', '')}"
    return str(spec.get("url") or spec.get("endpoint") or "")


def _certificates(facts: Facts) -> Iterable[Row]:
    for obj in _sorted(facts.lists.get("Certificate", ())):
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        ready = objects.condition(obj, "Ready") or {}
        issuer = spec.get("issuerRef") or {}
        cells = (
            objects.namespace(obj),
            objects.name(obj),
            ready.get("status", "Unknown"),
            spec.get("secretName", ""),
            _until(status.get("notAfter"), facts.now),
            age(obj, facts.now),
            ready.get("message", "not issued yet"),
            f"{issuer.get('kind', 'Issuer')}/{issuer.get('name', '')}",
            ", ".join(spec.get("dnsNames") or ()) or "-",
            _until(status.get("renewalTime"), facts.now),
        )
        yield Row(obj, cells, ready.get("status") == "True")


def _until(moment: str | None, now: datetime) -> str:
    if not moment:
        return "-"
    left = (objects.parse_time(moment) - now).total_seconds()
    return f"in {human(left)}" if left >= 0 else f"{human(-left)} ago"


def _volumes(facts: Facts) -> Iterable[Row]:
    """Claims with the volume behind them, and with Longhorn's state of it where Longhorn provides it."""
    volumes = {objects.name(obj): obj for obj in facts.lists.get("PersistentVolume", ())}
    longhorn = {objects.name(obj): obj for obj in facts.lists.get("Volume", ())}
    for claim in _sorted(facts.lists.get("PersistentVolumeClaim", ())):
        spec, status = claim.get("spec") or {}, claim.get("status") or {}
        name = spec.get("volumeName", "")
        volume = volumes.get(name, {})
        handle = ((volume.get("spec") or {}).get("csi") or {}).get("volumeHandle", name)
        state = (longhorn.get(handle) or {}).get("status") or {}
        cells = (
            objects.namespace(claim),
            objects.name(claim),
            status.get("phase", "Pending"),
            (status.get("capacity") or {}).get("storage", "-"),
            spec.get("storageClassName") or "-",
            name or "-",
            " ".join(filter(None, (state.get("state"), state.get("robustness")))) or "-",
            age(claim, facts.now),
            state.get("currentNodeID") or "-",
            ", ".join(spec.get("accessModes") or ()),
        )
        yield Row(claim, cells, status.get("phase") == "Bound")


def _addresses(facts: Facts) -> Iterable[Row]:
    for service in _sorted(facts.lists.get("Service", ())):
        spec = service.get("spec") or {}
        if spec.get("type") != "LoadBalancer":
            continue
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        given = [each.get("ip") or each.get("hostname", "") for each in ingress]
        here = [f"{host}:{port}" for each in given for host, port in facts.published.get(each, {}).values()]
        cells = (
            objects.namespace(service),
            objects.name(service),
            ", ".join(given) or "pending",
            ", ".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()),
            ", ".join(here) or "-",
            age(service, facts.now),
            objects.annotations(service).get("metallb.io/ip-allocated-from-pool", "-"),
            spec.get("clusterIP", ""),
        )
        yield Row(service, cells, bool(given))


def _sorted(listed: Iterable[Object]) -> list[Object]:
    return sorted(listed, key=lambda obj: (objects.namespace(obj), objects.name(obj)))


_FLUX = ("NAMESPACE", "NAME", "READY", "REVISION", "SUSPENDED", "AGE", "MESSAGE", "SOURCE", "AFTER")
_SOURCES = (_FLUX[0], "KIND", *_FLUX[1:])


def _flux_view(title: str, resource: Resource, *words: str) -> View:
    return View(title, (resource.plural, *words), (resource,), _FLUX, _flux(resource), 2)


VIEWS: tuple[View, ...] = (
    View(
        "Sources",
        ("sources", "source"),
        kinds.SOURCES,
        _SOURCES,
        _flux(*kinds.SOURCES, with_kind=True),
        2,
        kinds.SOURCES,
    ),
    _flux_view("Kustomizations", kinds.KUSTOMIZATIONS, "kustomization", "ks"),
    _flux_view("HelmReleases", kinds.HELM_RELEASES, "helmrelease", "hr"),
    _flux_view("Receivers", kinds.RECEIVERS, "receiver"),
    View(
        "Certificates",
        ("certificates", "certificate", "cert", "certs"),
        (kinds.CERTIFICATES,),
        ("NAMESPACE", "NAME", "READY", "SECRET", "EXPIRES", "AGE", "MESSAGE", "ISSUER", "NAMES", "RENEWED"),
        _certificates,
        3,
    ),
    View(
        "Volumes",
        ("volumes", "volume", "claims", "claim"),
        (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, kinds.LONGHORN_VOLUMES),
        ("NAMESPACE", "CLAIM", "STATUS", "CAPACITY", "CLASS", "VOLUME", "STATE", "AGE", "NODE", "MODES"),
        _volumes,
        2,
    ),
    View(
        "Addresses",
        ("addresses", "address"),
        (SERVICES,),
        ("NAMESPACE", "SERVICE", "ADDRESS", "PORTS", "HERE", "AGE", "POOL", "CLUSTER-IP"),
        _addresses,
        2,
    ),
    _flux_view("GitRepositories", kinds.GIT_REPOSITORIES, "gitrepository", "gitrepo"),
    _flux_view("OCIRepositories", kinds.OCI_REPOSITORIES, "ocirepository", "ocirepo"),
    _flux_view("Buckets", kinds.BUCKETS, "bucket"),
    _flux_view("HelmRepositories", kinds.HELM_REPOSITORIES, "helmrepository", "helmrepo"),
    _flux_view("HelmCharts", kinds.HELM_CHARTS, "helmchart", "hc"),
)

ALL = (
    "nodes",
    "sources",
    "kustomizations",
    "helmreleases",
    "receivers",
    "pods",
    "certificates",
    "volumes",
    "addresses",
)
"""What `nerv get all` shows, in this order."""


def view(word: str) -> View | None:
    """The view that a word means, if NERV has one."""
    return next((each for each in VIEWS if word.lower() in each.words), None)
