"""Taints, tolerations, node affinity and requests."""

from __future__ import annotations

from fractions import Fraction

import pytest

from nerv.controllers.kubernetes import fitting, placement, pods
from nerv.kube.objects import Object

TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerations(toleration: Object, covers: bool) -> None:
    assert placement.tolerates(toleration, TAINT) is covers


def test_terms_are_alternatives_and_expressions_all_hold() -> None:
    node = {"metadata": {"name": "n1", "labels": {"disk": "ssd", "size": "10"}}}
    ssd = {"key": "disk", "operator": "In", "values": ["ssd"]}
    small = {"key": "size", "operator": "Lt", "values": ["5"]}
    named = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    assert placement.matches_terms([{"matchExpressions": [ssd]}], node)
    assert not placement.matches_terms([{"matchExpressions": [ssd, small]}], node)
    assert placement.matches_terms([{"matchExpressions": [small]}, named], node)
    assert not placement.matches_terms([{}], node)


def container(cpu: str, **more: object) -> Object:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


def test_requests_count_init_containers_by_the_largest_and_sidecars_by_all() -> None:
    spec = {
        "initContainers": [container("3"), container("500m", restartPolicy="Always"), container("2")],
        "containers": [container("1"), container("250m")],
        "overhead": {"cpu": "100m"},
    }
    # containers and sidecar 1750m; init: 3, then 2 beside the sidecar 2.5; the largest is 3; overhead comes on top
    assert fitting.request({"spec": spec}) == {"cpu": Fraction(31, 10)}


def pod(name: str, **fields: object) -> Object:
    return {"metadata": {"name": name, "creationTimestamp": "2025-01-01T00:00:00Z"}, "spec": {}, "status": {}, **fields}


def test_pods_to_delete_first() -> None:
    ready = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-02"}],
    }
    on_node = {"nodeName": "n1"}
    everyone = [
        pod("ready", spec=on_node, status=ready),
        pod("unready", spec=on_node, status={"phase": "Running"}),
        pod("pending", spec=on_node, status={"phase": "Pending"}),
        pod("unassigned"),
    ]
    names = [each["metadata"]["name"] for each in pods.deletion_order(everyone)]
    assert names == ["unassigned", "pending", "unready", "ready"]


def test_hash_ignores_what_says_nothing() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}
    same = {
        "metadata": {"creationTimestamp": None, "labels": {"a": "b", "pod-template-hash": "x"}},
        "spec": {"containers": [{"name": "c"}]},
    }
    assert pods.template_hash(template) == pods.template_hash(same)
    assert pods.template_hash(template) != pods.template_hash(template, 1)
