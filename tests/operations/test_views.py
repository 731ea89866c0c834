"""Tables of `nerv get`, from objects as Flux, cert-manager, Longhorn and MetalLB leave them."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from tests.support import foreign
from tests.support.foreign import obj, ready

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.operations import get, views
from nerv.operations.views import Facts, Row, Table

NOW = datetime(2026, 11, 25, 12, 5, tzinfo=UTC)


def _table(word: str, *found: Object, **published: dict[int, tuple[str, int]]) -> Table:
    lists: dict[str, list[Object]] = {}
    for each in found:
        lists.setdefault(each["kind"], []).append(each)
    chosen = views.view(word)
    assert chosen is not None
    return chosen.table(Facts(lists, NOW, {name.replace("_", "."): ports for name, ports in published.items()}))


def _cells(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.headers, row.cells, strict=True)) for row in table.rows]


def test_flux_objects_tell_why_they_are_not_ready() -> None:
    rows = _cells(_table("ks", *foreign.everything()))
    assert [(row["NAME"], row["READY"]) for row in rows] == [
        ("apps", "False"),
        ("apps-config", "False"),
        ("flux-system", "True"),
    ]
    assert rows[1]["MESSAGE"] == "dependency 'flux-system/apps' is not ready"
    assert rows[1]["AFTER"] == "flux-system/apps"
    assert rows[2]["REVISION"] == "main@sha1:0f0ab0c4"
    assert rows[2]["AGE"] == "5m"
    assert rows[2]["SOURCE"] == "GitRepository/flux-system"


def test_sources_are_shown_with_their_kind_and_suspension() -> None:
    repository = obj(
        "source.toolkit.fluxcd.io/v1", "HelmRepository", "a/charts", spec={"url": "https://x", "suspend": True}
    )
    rows = _cells(_table("sources", foreign.source(), repository))
    assert [(row["KIND"], row["READY"], row["SUSPENDED"]) for row in rows] == [
        ("GitRepository", "True", "False"),
        ("HelmRepository", "-", "True"),
    ]
    assert rows[1]["SOURCE"] == "https://x"


def test_certificates_say_when_they_end() -> None:
    spec = {"secretName": "tls", "issuerRef": {"kind": "ClusterIssuer", "name": "home-ca"}, "dnsNames": ["a.b"]}
    status = {"notAfter": "2026-11-27T12:05:00Z", "conditions": [ready("True", "Ready", "up to date")]}
    late = {"notAfter": "2026-11-25T12:00:00Z", "conditions": [ready("False", "Expired", "expired")]}
    table = _table(
        "certificates",
        obj("cert-manager.io/v1", "Certificate", "a/good", spec=spec, status=status),
        obj("cert-manager.io/v1", "Certificate", "a/late", spec=spec, status=late),
        obj("cert-manager.io/v1", "Certificate", "a/new", spec=spec),
    )
    rows = _cells(table)
    assert [row["NAME"] + " " + row["EXPIRES"] for row in rows] == ["good in 2d", "late 5m ago", "new -"]
    assert [row.ready for row in table.rows] == [True, False, False]
    assert rows[0]["ISSUER"] == "ClusterIssuer/home-ca"


def test_claims_are_joined_with_their_volume() -> None:
    claim = obj(
        "v1", "PersistentVolumeClaim", "default/data",
        spec={"volumeName": "pvc-1", "storageClassName": "longhorn", "accessModes": ["ReadWriteOnce"]},
        status={"phase": "Bound", "capacity": {"storage": "2Gi"}},
    )  # fmt: skip
    volume = obj("v1", "PersistentVolume", "pvc-1", spec={"csi": {"volumeHandle": "pvc-1"}})
    longhorn = obj(
        "longhorn.io/v1beta2", "Volume", "longhorn-system/pvc-1",
        status={"state": "attached", "robustness": "healthy", "currentNodeID": "nerv-1"},
    )  # fmt: skip
    pending = obj("v1", "PersistentVolumeClaim", "default/new", spec={}, status={"phase": "Pending"})
    rows = _cells(_table("volumes", claim, volume, longhorn, pending))
    assert (rows[0]["STATE"], rows[0]["CAPACITY"], rows[0]["NODE"]) == ("attached healthy", "2Gi", "nerv-1")
    assert (rows[1]["STATUS"], rows[1]["VOLUME"]) == ("Pending", "-")


def test_addresses_are_those_of_the_cluster_and_where_they_listen_here() -> None:
    rows = _cells(_table("addresses", foreign.service(), **{"192_168_1_111": {443: ("127.168.1.111", 8443)}}))
    assert [(row["ADDRESS"], row["HERE"]) for row in rows] == [("192.168.1.111", "127.168.1.111:8443")]
    waiting = obj("v1", "Service", "a/b", spec={"type": "LoadBalancer", "ports": []}, status={"loadBalancer": {}})
    assert _cells(_table("addresses", waiting))[0]["ADDRESS"] == "pending"


_ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12"), st.text(max_size=3)), max_size=5)


@given(_ROWS, _ROWS)
def test_a_watch_tells_what_is_new_changed_or_gone_and_nothing_else(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    def table(rows: dict[str, tuple[str, str]]) -> tuple[Table, ...]:
        made = (Row({"kind": "K", "metadata": {"name": name}}, (name, *cells)) for name, cells in rows.items())
        return (Table("K", ("NAME", "STATE", "AGE"), tuple(made)),)

    old = {name: (state, age) for name, state, age in before}
    new = {name: (state, age) for name, state, age in after}
    told = {(objects.name(row.object), present) for _, row, present in get.changed_rows(table(old), table(new))}
    changed = {(name, True) for name in new if name not in old or old[name][0] != new[name][0]}
    assert told == changed | {(name, False) for name in old.keys() - new.keys()}
