"""Which pods stand in for each other."""

from __future__ import annotations

import pytest

from nerv.kube.objects import Object
from nerv.node import peers


def pod(uid: str, *, ready: str = "True", deleting: bool = False, namespace: str = "a", **labels: str) -> Object:
    metadata: Object = {"name": uid, "namespace": namespace, "uid": uid, "labels": labels}
    if deleting:
        metadata["deletionTimestamp"] = "2025-06-01T00:00:00Z"
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


NEW = {**pod("new", ready="False", app="web")}
NEW["metadata"]["labels"]["pod-template-hash"] = "2"


@pytest.mark.parametrize(
    ("other", "served"),
    [
        (pod("old", app="web"), True),
        (pod("old", **{"app": "web", "pod-template-hash": "1"}), True),
        (pod("old", ready="False", app="web"), False),
        (pod("old", deleting=True, app="web"), False),
        (pod("old", namespace="b", app="web"), False),
        (pod("old", app="api"), False),
        (pod("new", app="web"), False),
    ],
)
def test_a_ready_pod_with_the_same_labels_serves(other: Object, served: bool) -> None:
    assert peers.is_served(NEW, [NEW, other]) is served


def test_pods_without_labels_are_strangers() -> None:
    assert not peers.is_served(pod("new"), [pod("old")])
