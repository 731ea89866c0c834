"""Server-side apply: merging, conflicts, removal, co-ownership."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.kube import ownership, schemas
from nerv.kube.objects import GroupVersionKind, clone

T1 = datetime(2025, 7, 1, 12, tzinfo=UTC)
T2 = datetime(2025, 7, 1, 13, tzinfo=UTC)
DEPLOYMENT = schemas.builtin(GroupVersionKind("apps", "v1", "Deployment"))
CONFIG_MAP = schemas.builtin(GroupVersionKind("", "v1", "ConfigMap"))
assert DEPLOYMENT is not None
assert CONFIG_MAP is not None

Object = dict[str, Any]


def deployment(*containers: Object, **spec: Any) -> Object:
    obj: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"}}
    if containers:
        spec["template"] = {"spec": {"containers": list(containers)}}
    return obj | {"spec": spec} if spec else obj


def apply(live: Object | None, applied: Object, manager: str, *, force: bool = False, now: datetime = T2) -> Object:
    before = clone(live)
    result = ownership.apply(live, applied, manager, force, DEPLOYMENT, now)
    assert live == before
    return result


def fields_of(obj: Object, manager: str) -> Object:
    return next(item["fieldsV1"] for item in obj["metadata"]["managedFields"] if item["manager"] == manager)


def managers(obj: Object) -> list[str]:
    return [item["manager"] for item in obj["metadata"].get("managedFields", [])]


def test_first_apply_owns_what_it_names() -> None:
    obj = apply(
        None, deployment({"name": "c", "image": "x", "ports": [{"containerPort": 80}]}, replicas=1), "flux", now=T1
    )
    assert obj["metadata"]["managedFields"] == [
        {
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"c"}': {
                                    ".": {},
                                    "f:image": {},
                                    "f:name": {},
                                    # protocol is a key of the list and defaults to TCP
                                    "f:ports": {
                                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                                    },
                                }
                            }
                        }
                    },
                }
            },
            "manager": "flux",
            "operation": "Apply",
            "time": "2025-07-01T12:00:00Z",
        }
    ]


def test_same_apply_again_returns_the_same_object() -> None:
    wanted = deployment({"name": "c", "image": "x"}, replicas=1)
    live = apply(None, wanted, "flux", now=T1)
    assert apply(live, wanted, "flux", now=T2) is live


def test_defaults_that_nobody_owns_stay() -> None:
    live = apply(None, deployment({"name": "c", "image": "x"}), "flux", now=T1)
    live["spec"]["replicas"] = 1
    assert apply(live, deployment({"name": "c", "image": "x"}), "flux") is live


def test_conflict_names_manager_and_field() -> None:
    live = apply(None, deployment(replicas=1), "flux")
    with pytest.raises(ownership.ApplyConflict) as caught:
        apply(live, deployment(replicas=2), "helm")
    assert str(caught.value) == 'Apply failed with 1 conflict: conflict with "flux": .spec.replicas'
    assert caught.value.causes() == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "flux"', "field": ".spec.replicas"}
    ]


def test_conflicts_with_an_updater_name_its_version() -> None:
    live = ownership.update_managers(
        None, deployment({"name": "c", "image": "x"}, replicas=1), "kubectl", schema=DEPLOYMENT, now=T1
    )
    with pytest.raises(ownership.ApplyConflict) as caught:
        apply(live, deployment({"name": "c", "image": "y"}, replicas=2), "flux")
    assert str(caught.value) == (
        'Apply failed with 2 conflicts: conflicts with "kubectl" using apps/v1:\n'
        '- .spec.replicas\n- .spec.template.spec.containers[name="c"].image'
    )


def test_force_takes_the_fields() -> None:
    live = apply(None, deployment({"name": "c", "image": "x"}, replicas=1), "flux", now=T1)
    forced = apply(live, deployment(replicas=2), "helm", force=True)
    assert forced["spec"]["replicas"] == 2
    assert "f:replicas" not in fields_of(forced, "flux")["f:spec"]
    assert fields_of(forced, "helm") == {"f:spec": {"f:replicas": {}}}
    assert apply(forced, deployment(replicas=2), "helm") is forced


def test_same_value_is_owned_together_and_survives_one_owner() -> None:
    live = apply(None, deployment(replicas=1), "flux")
    both = apply(live, deployment(replicas=1), "helm")
    assert managers(both) == ["helm", "flux"]  # who changed nothing has no time, and comes first
    left = apply(both, deployment(), "flux")
    assert left["spec"]["replicas"] == 1
    assert managers(left) == ["helm"]
    gone = apply(left, deployment(), "helm")
    assert "spec" not in gone
    assert managers(gone) == []


def test_list_item_goes_with_its_last_owner() -> None:
    live = apply(None, deployment({"name": "c", "image": "x"}, {"name": "side", "image": "y"}), "flux")
    other = apply(live, deployment({"name": "extra", "image": "z"}), "injector")
    names = [item["name"] for item in other["spec"]["template"]["spec"]["containers"]]
    assert names == ["c", "side", "extra"]
    after = apply(other, deployment({"name": "c", "image": "x"}), "flux")
    assert [item["name"] for item in after["spec"]["template"]["spec"]["containers"]] == ["c", "extra"]


def test_order_of_the_configuration_wins_for_its_own_items() -> None:
    live = apply(None, deployment({"name": "a"}, {"name": "b"}), "flux")
    mixed = apply(live, deployment({"name": "x"}), "other")
    turned = apply(mixed, deployment({"name": "b"}, {"name": "a"}), "flux")
    names = [item["name"] for item in turned["spec"]["template"]["spec"]["containers"]]
    assert names.index("b") < names.index("a")
    assert sorted(names) == ["a", "b", "x"]


def test_atomic_map_is_replaced_as_a_whole() -> None:
    live = apply(None, deployment(selector={"matchLabels": {"a": "1", "b": "2"}}), "flux")
    after = apply(live, deployment(selector={"matchLabels": {"a": "1"}}), "flux")
    assert after["spec"]["selector"] == {"matchLabels": {"a": "1"}}
    assert fields_of(after, "flux") == {"f:spec": {"f:selector": {}}}


def test_status_is_ignored_on_the_main_resource_and_everything_else_on_status() -> None:
    wanted = deployment(replicas=1) | {"status": {"replicas": 5}}
    live = apply(None, wanted, "flux")
    assert "status" not in live
    status = ownership.apply(
        live, wanted | {"spec": {"replicas": 9}}, "ctl", False, DEPLOYMENT, T2, subresource="status"
    )
    assert status["spec"] == {"replicas": 1}
    assert status["status"] == {"replicas": 5}
    entry = next(item for item in status["metadata"]["managedFields"] if item["manager"] == "ctl")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}


def test_unknown_fields_and_wrong_types_are_told_together() -> None:
    with pytest.raises(ownership.SchemaMismatch) as caught:
        apply(None, deployment(foo=1, replicas="x"), "flux")
    assert str(caught.value) == (
        "failed to create typed patch object (a/web; apps/v1, Kind=Deployment): errors:\n"
        "  .spec.foo: field not declared in schema\n"
        "  .spec.replicas: expected numeric (int or float), got string"
    )
    with pytest.raises(ownership.SchemaMismatch, match=r"duplicate entries for key \[\{\"name\":\"a\"\}\]"):
        apply(None, deployment({"name": "a"}, {"name": "a"}), "flux")


def test_an_object_without_books_belongs_to_before_first_apply() -> None:
    live = deployment(replicas=1)
    with pytest.raises(ownership.ApplyConflict, match='conflict with "before-first-apply" using apps/v1'):
        apply(live, deployment(replicas=2), "flux")


def test_custom_resource_without_list_types_has_atomic_lists() -> None:
    schema = schemas.structural(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "items": {
                            "type": "array",
                            "items": {"type": "object", "properties": {"a": {"type": "integer"}}},
                        },
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            },
        }
    )
    wanted = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"items": [{"a": 1}], "free": {"x": {"y": [1]}}},
    }
    live = ownership.apply(None, wanted, "flux", False, schema, T1)
    assert fields_of(live, "flux") == {"f:spec": {"f:free": {"f:x": {".": {}, "f:y": {}}}, "f:items": {}}}


_keys = st.sampled_from(["a", "b", "c", "d"])
_data = st.dictionaries(_keys, st.sampled_from(["1", "2", "3"]), max_size=4)


def config_map(data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}, "data": data}


def apply_map(live: Object | None, data: dict[str, str], manager: str, *, force: bool) -> Object:
    return ownership.apply(live, config_map(data), manager, force, CONFIG_MAP, T1)


@given(_data, _data)
def test_apply_twice_changes_nothing(first: dict[str, str], second: dict[str, str]) -> None:
    live = apply_map(None, first, "one", force=False)
    once = apply_map(live, second, "two", force=True)
    assert apply_map(once, second, "two", force=False) is once
    assert once.get("data", {}) == first | second


@given(_data, _data, _data)
def test_an_applier_has_exactly_its_last_configuration_and_what_others_own(
    first: dict[str, str], second: dict[str, str], foreign: dict[str, str]
) -> None:
    live = apply_map(None, first, "one", force=False)
    live = apply_map(live, foreign, "two", force=True)
    live = apply_map(live, second, "one", force=True)
    assert live.get("data", {}) == foreign | second


@given(_data)
def test_applying_nothing_leaves_nothing(data: dict[str, str]) -> None:
    live = apply_map(None, data, "one", force=False)
    assert not apply_map(live, {}, "one", force=False).get("data")


def test_other_times_alone_are_no_change() -> None:
    """What is applied again in other words (`stringData`) looks changed until it is brought into form."""
    entry = {"manager": "flux", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}}}
    old = {"metadata": {"name": "s", "managedFields": [entry]}, "data": {"a": "Yg=="}}
    later = {"metadata": {"name": "s", "managedFields": [{**entry, "time": "2026-01-01T00:00:09Z"}]}}
    assert ownership.only_times_differ({**later, "data": {"a": "Yg=="}}, old)
    assert not ownership.only_times_differ({**later, "data": {"a": "Yw=="}}, old)
    other = {"metadata": {"name": "s", "managedFields": [{**entry, "manager": "me"}]}, "data": {"a": "Yg=="}}
    assert not ownership.only_times_differ(other, old)
    assert not ownership.only_times_differ({"metadata": {"name": "s"}}, old)
