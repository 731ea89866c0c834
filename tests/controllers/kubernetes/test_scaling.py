"""The numbers of a rollout."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nerv.controllers.kubernetes.deployment import scaling
from nerv.kube.objects import Object


def deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%") -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "web", "uid": "d"},
        "spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}},
        "status": {},
    }


def replica_set(name: str, replicas: int, available: int = 0, size: int | None = None) -> Object:
    annotations = {scaling.DESIRED: str(size), scaling.MAXIMUM: str(size)} if size is not None else {}
    return {
        "metadata": {"name": name, "uid": name, "annotations": annotations, "creationTimestamp": name},
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": available},
    }


def test_percentages_round_up_for_surge_and_down_for_unavailable() -> None:
    assert scaling.bounds(deployment(10)) == (3, 2)
    assert scaling.bounds(deployment(1)) == (1, 0)


def test_without_any_room_one_may_be_unavailable() -> None:
    assert scaling.bounds(deployment(3, 0, 0)) == (0, 1)


def test_unhealthy_old_pods_go_first() -> None:
    old = [replica_set("1", 5, available=5), replica_set("2", 3, available=0)]
    new = replica_set("3", 2, available=0)
    assert scaling.old_scale_down(deployment(8, 2, 2), [*old, new], new) == {"2": 1}


sizes = st.integers(0, 30)


@given(sizes, sizes, sizes, st.integers(0, 5), st.integers(0, 5))
def test_a_step_never_leaves_fewer_available_pods_than_allowed(
    replicas: int, old_available: int, new_available: int, surge: int, unavailable: int
) -> None:
    wanted = deployment(replicas, surge, unavailable)
    old = replica_set("1", old_available, available=old_available)
    new = replica_set("2", new_available, available=new_available)
    after = scaling.old_scale_down(wanted, [old, new], new).get("1", old_available)
    minimum = replicas - scaling.max_unavailable(wanted)
    assert after + new_available >= min(minimum, old_available + new_available)


@given(sizes, sizes, sizes, st.integers(0, 5))
def test_a_step_never_asks_for_more_pods_than_allowed(replicas: int, olds: int, present: int, surge: int) -> None:
    wanted = deployment(replicas, surge, 1)
    sets = [replica_set("1", olds), replica_set("2", min(present, replicas))]
    after = scaling.new_set_replicas(wanted, sets, sets[1])
    assert after <= replicas
    assert after == scaling.replicas(sets[1]) or after + olds <= replicas + surge


@given(st.integers(1, 40), st.lists(st.integers(1, 20), min_size=2, max_size=4))
def test_scaling_in_the_middle_of_an_update_gives_out_exactly_what_is_allowed(wanted: int, present: list[int]) -> None:
    size = sum(present)
    sets = [replica_set(str(number), count, size=size) for number, count in enumerate(present)]
    given_out = scaling.proportional(deployment(wanted, 0, 1), sets)
    assert sum(given_out.values()) == wanted
    assert all(count >= 0 for count in given_out.values())


def test_proportions_of_the_documented_example() -> None:
    # 10 replicas with maxSurge 3 in the middle of an update (8 old, 5 new), scaled to 15
    sets = [replica_set("old", 8, size=13), replica_set("new", 5, size=13)]
    assert scaling.proportional(deployment(15, 3, 2), sets) == {"old": 11, "new": 7}
