"""Drain, and leaving etcd, against a real API server: budgets hold, what goes is said, nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from tests.support import k3s

from nerv.deploy import drain, etcd
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import NODES, PODS, Resource

BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}


def owned(name: str, **changes: object) -> Object:
    labels = {"app": "web"}
    return k3s.pod(name, "w1", ownerReferences=[OWNER], labels=labels, **changes)


@pytest.fixture
async def cluster(client: Client) -> Client:
    await k3s.add_node(client, k3s.node("w1", server=False))
    return client


async def budget(client: Client, allowed: int) -> None:
    """A budget, and what the disruption controller would have counted."""
    meta = {"name": "web", "namespace": "default"}
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    found = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
    made = await client.apply(BUDGETS, found)
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": 1 + allowed,
        "desiredHealthy": 1,
        "expectedPods": 1 + allowed,
        "observedGeneration": made["metadata"]["generation"],
    }
    await client.patch(BUDGETS, "web", "default", {"status": status}, subresource="status")


async def finalize(client: Client) -> None:
    """The kubelet's part: what is being deleted goes."""
    for pod in (await client.list(PODS)).items:
        if pod["metadata"].get("deletionTimestamp"):
            meta = pod["metadata"]
            await client.delete(PODS, meta["name"], meta["namespace"], grace_period=0)


async def test_pods_leave_and_scratch_data_is_said(cluster: Client) -> None:
    said: list[str] = []
    await k3s.add_pod(cluster, owned("a", spec={"volumes": [{"name": "t", "emptyDir": {}}]}))
    await k3s.add_pod(cluster, k3s.pod("elsewhere", "w2"))
    daemon = {**OWNER, "kind": "DaemonSet"}
    await k3s.add_pod(cluster, k3s.pod("speaker", "w1", ownerReferences=[daemon]))
    draining = asyncio.create_task(drain.drain(cluster, "w1", said.append, limit=20, between=0.01))
    while not draining.done():
        await finalize(cluster)
        await asyncio.sleep(0.01)
    await draining
    assert said[0] == "default/a: its emptyDir data goes with it"
    assert sorted(pod["metadata"]["name"] for pod in (await cluster.list(PODS)).items) == ["elsewhere", "speaker"]


async def test_a_budget_holds_a_pod_until_it_allows(cluster: Client) -> None:
    said: list[str] = []
    await k3s.add_pod(cluster, owned("a"))
    await budget(cluster, allowed=0)
    with pytest.raises(NervError, match="w1 is not drained within 0 s: default/a: ") as caught:
        await drain.drain(cluster, "w1", said.append, limit=0.05, between=0.01)
    assert "budget" in caught.value.message.lower()
    assert "kubectl get pdb -A" in caught.value.hint
    assert not (await cluster.get(PODS, "a", "default"))["metadata"].get("deletionTimestamp")
    await budget(cluster, allowed=1)
    draining = asyncio.create_task(drain.drain(cluster, "w1", said.append, limit=20, between=0.01))
    while not draining.done():
        await finalize(cluster)
        await asyncio.sleep(0.01)
    await draining


async def test_a_pod_that_nobody_would_make_again_is_not_lost(cluster: Client) -> None:
    await k3s.add_pod(cluster, k3s.pod("bare", "w1"))
    with pytest.raises(NervError, match="nobody would make these pods again: default/bare"):
        await drain.drain(cluster, "w1", print, limit=1, between=0.01)
    assert (await cluster.get(PODS, "bare", "default"))["metadata"]["name"] == "bare"


async def test_cordon_and_uncordon(cluster: Client) -> None:
    await drain.cordon(cluster, "w1")
    assert (await cluster.get(NODES, "w1"))["spec"]["unschedulable"] is True
    await drain.cordon(cluster, "w1", unschedulable=False)
    assert "unschedulable" not in (await cluster.get(NODES, "w1")).get("spec", {})


async def test_a_server_leaves_etcd_before_anything_of_it_is_deleted(client: Client) -> None:
    await k3s.add_node(client, k3s.node("s3"))
    leaving = asyncio.create_task(etcd.leave(client, "s3", limit=20, between=0.01))

    async def asked() -> bool:
        return etcd.LEAVE in ((await client.get(NODES, "s3"))["metadata"].get("annotations") or {})

    async with asyncio.timeout(45):
        while not await asked():  # noqa: ASYNC110  what K3s' controller watches for
            await asyncio.sleep(0.01)
    assert not leaving.done()
    await client.patch(NODES, "s3", None, {"metadata": {"annotations": {etcd.LEFT: "s3-1a2b3c4d"}}})
    await leaving
    await k3s.add_node(client, k3s.node("s4"))
    with pytest.raises(NervError, match="s4 has not left etcd within 0 s"):
        await etcd.leave(client, "s4", limit=0.05, between=0.01)
    await etcd.leave(client, "nobody", limit=0, between=0.01)
