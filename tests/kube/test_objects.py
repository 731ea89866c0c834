"""Reading and changing what all objects share."""

from datetime import UTC, datetime

from nerv.kube import objects
from nerv.kube.objects import GroupVersionKind

NOW = datetime(2025, 7, 1, 12, 0, 0, tzinfo=UTC)


def test_reading_an_empty_object_gives_empty_values() -> None:
    assert (objects.name({}), objects.namespace({}), objects.uid({}), objects.kind({})) == ("", "", "", "")
    assert objects.labels({"metadata": {"labels": None}}) == {}
    assert objects.condition({}, "Ready") is None


def test_group_version_kind_of_core_and_named_groups() -> None:
    assert GroupVersionKind.of({"apiVersion": "v1", "kind": "Pod"}) == GroupVersionKind("", "v1", "Pod")
    assert GroupVersionKind.parse("apps/v1", "Deployment").api_version == "apps/v1"


def test_owner_reference_of_a_controller_blocks_deletion() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a", "uid": "u"}}
    reference = objects.owner_reference(owner)
    assert reference["controller"] is True
    assert reference["blockOwnerDeletion"] is True
    assert objects.controller_of({"metadata": {"ownerReferences": [{"name": "x"}, reference]}}) == reference
    assert "controller" not in objects.owner_reference(owner, controller=False)


def test_transition_time_moves_only_with_the_status() -> None:
    first = objects.set_condition([], "Ready", "False", "Progressing", "", 1, NOW)
    later = NOW.replace(hour=13)
    same = objects.set_condition(first, "Ready", "False", "Failed", "no", 2, later)
    assert same == [
        {
            "type": "Ready",
            "status": "False",
            "lastTransitionTime": "2025-07-01T12:00:00Z",
            "reason": "Failed",
            "message": "no",
            "observedGeneration": 2,
        }
    ]
    turned = objects.set_condition([{"type": "Other"}, *same], "Ready", "True", "Done", "", None, later)
    assert turned[1]["lastTransitionTime"] == "2025-07-01T13:00:00Z"
    assert "observedGeneration" not in turned[1]
    assert turned[0] == {"type": "Other"}


def test_clone_shares_nothing() -> None:
    value = {"a": [{"b": 1}], "c": {"d": []}}
    copy = objects.clone(value)
    copy["a"][0]["b"] = 2
    copy["c"]["d"].append(1)
    assert value == {"a": [{"b": 1}], "c": {"d": []}}


def test_times_are_utc() -> None:
    assert objects.timestamp(objects.parse_time("2025-07-01T14:00:00+02:00")) == "2025-07-01T12:00:00Z"
    assert objects.micro_timestamp(NOW) == "2025-07-01T12:00:00.000000Z"
