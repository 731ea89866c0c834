"""Pure rules of updates: etcd's majority, Kubernetes' order of versions, which pods leave a node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.deploy import drain, quorum, upgrade
from nerv.deploy.upgrade import Member
from nerv.errors import NervError

SERVERS = {"s1": True, "s2": True, "s3": True}


@given(st.integers(1, 99))
def test_a_majority_of_what_tolerated_failures_leave_remains(members: int) -> None:
    assert members - quorum.tolerated(members) >= quorum.majority(members)
    assert 2 * quorum.majority(members) > members


def test_one_server_may_be_away_while_the_others_are_the_majority() -> None:
    assert quorum.check_absence(SERVERS, "s1") == ""
    assert quorum.check_absence(SERVERS, "worker") == ""
    assert "the only server" in quorum.check_absence({"s1": True}, "s1")
    with pytest.raises(NervError, match="s1: taking it down leaves 1 of 3 servers, etcd needs 2") as caught:
        quorum.check_absence({**SERVERS, "s3": False}, "s1")
    assert caught.value.hint == "bring s3 up first"
    # the one that is down itself may be worked on
    assert quorum.check_absence({**SERVERS, "s3": False}, "s3") == ""
    with pytest.raises(NervError, match="leaves 1 of 2 servers"):
        quorum.check_absence({"s1": True, "s2": True}, "s1")


def test_servers_leave_one_by_one_and_never_the_last() -> None:
    with pytest.raises(NervError, match="s3: removing it leaves 1 of 2 servers") as caught:
        quorum.check_removal(SERVERS, ["s2", "s3"])
    assert "the third first" in caught.value.hint
    quorum.check_removal({**SERVERS, "s4": True, "s5": True}, ["s4", "s5"])
    quorum.check_removal(SERVERS, ["worker"])
    with pytest.raises(NervError, match="s1 is the last server"):
        quorum.check_removal({"s1": True}, ["s1"])


def member(name: str, version: str) -> Member:
    return Member(name, not name.startswith("w"), True, version)


CLUSTER = [member("s1", "v1.31.9+k3s1"), member("s2", "v1.31.9+k3s1"), member("w1", "v1.31.9+k3s1")]


def test_servers_before_agents_one_minor_at_a_time_never_back() -> None:
    upgrade.check_order(CLUSTER, ["s1", "s2", "w1"], "v1.32")
    with pytest.raises(NervError, match=r"w1 would be newer than the server s1, which runs v1.31") as caught:
        upgrade.check_order(CLUSTER, ["w1"], "v1.32")
    assert "`nerv deploy --update s1 s2`" in caught.value.hint
    with pytest.raises(NervError, match="w1 would be newer than the server s2"):
        upgrade.check_order(CLUSTER, ["s1", "w1", "s2"], "v1.32")
    with pytest.raises(
        NervError, match=r"s1 runs v1.31, the definition says v1.33: one minor version at a time"
    ) as caught:
        upgrade.check_order(CLUSTER, ["s1"], "v1.33")
    assert "to v1.32, render, commit" in caught.value.hint
    with pytest.raises(NervError, match="a node never goes back"):
        upgrade.check_order(CLUSTER, ["s1"], "v1.30")
    upgrade.check_order(CLUSTER, ["w1"], "v1.31")
    # a node that the cluster does not know yet has nothing to skip
    upgrade.check_order(CLUSTER, ["w9"], "v1.31")


@given(st.permutations(["s1", "s2", "w1"]))
def test_an_order_is_right_when_no_agent_stands_before_a_server(names: list[str]) -> None:
    right = names.index("w1") == 2
    if right:
        upgrade.check_order(CLUSTER, names, "v1.32")
    else:
        with pytest.raises(NervError):
            upgrade.check_order(CLUSTER, names, "v1.32")
    upgrade.check_order(CLUSTER, upgrade.ordered(CLUSTER, names), "v1.32")


def test_a_change_of_the_definition() -> None:
    upgrade.check_step("v1.31", "v1.32")
    with pytest.raises(NervError, match=r"is 2 minor versions after v1.31: one at a time"):
        upgrade.check_step("v1.31", "v1.33")
    with pytest.raises(NervError, match="cannot go back"):
        upgrade.check_step("v1.32", "v1.31")


def pod(name: str, owner: str = "", phase: str = "Running", **spec: object) -> dict[str, object]:
    metadata: dict[str, object] = {"name": name, "namespace": "a", "uid": name}
    if owner == "mirror":
        metadata["annotations"] = {"kubernetes.io/config.mirror": "x"}
    elif owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "o", "controller": True}]
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def test_which_pods_leave_a_node() -> None:
    planned = drain.plan(
        [
            pod("web", "ReplicaSet", volumes=[{"name": "t", "emptyDir": {}}]),
            pod("data", "StatefulSet"),
            pod("speaker", "DaemonSet"),
            pod("static", "mirror"),
            pod("bare"),
            pod("done", phase="Succeeded"),
        ]
    )
    assert [one.name for one in planned.evict] == ["bare", "data", "done", "web"]
    assert [one.name for one in planned.evict if one.scratch] == ["web"]
    assert planned.stay == ("a/speaker", "a/static")
    assert planned.unmanaged == ("a/bare",)
