"""managedFields of creates, updates and patches."""

from datetime import UTC, datetime, timedelta
from typing import Any

from nerv.kube import ownership, schemas
from nerv.kube.objects import GroupVersionKind, clone
from nerv.kube.ownership import sets

T1 = datetime(2025, 7, 1, 12, tzinfo=UTC)
T2 = datetime(2025, 7, 1, 13, tzinfo=UTC)
SERVICE = schemas.builtin(GroupVersionKind("", "v1", "Service"))
assert SERVICE is not None

Object = dict[str, Any]


def service(**spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "uid": "u", "labels": {"a": "1"}},
        "spec": spec,
    }


def update(old: Object | None, new: Object, manager: str, now: datetime = T2, **options: Any) -> Object:
    return ownership.update_managers(old, new, manager, schema=SERVICE, now=now, **options)


def test_create_owns_every_field_and_every_new_map() -> None:
    obj = update(None, service(ports=[{"port": 80}], type="ClusterIP"), "kubectl", T1)
    assert obj["metadata"]["managedFields"] == [
        {
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {
                    "f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
                    "f:type": {},
                },
            },
            "manager": "kubectl",
            "operation": "Update",
            "time": "2025-07-01T12:00:00Z",
        }
    ]


def _without_root(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if name != "."}


def test_update_takes_what_it_changes_from_others() -> None:
    old = update(None, service(type="ClusterIP", sessionAffinity="None"), "a", T1)
    new = clone(old)
    new["spec"]["type"] = "NodePort"
    new = update(old, new, "b")
    first, second = new["metadata"]["managedFields"]
    assert "f:type" not in first["fieldsV1"]["f:spec"]
    assert first["time"] == "2025-07-01T12:00:00Z"
    assert second["fieldsV1"] == {"f:spec": {"f:type": {}}}


def test_update_that_changes_nothing_returns_the_same_object() -> None:
    old = update(None, service(type="ClusterIP"), "a", T1)
    new = clone(old)
    assert update(old, new, "b") is new


def test_removed_fields_leave_every_manager() -> None:
    old = update(None, service(type="ClusterIP", sessionAffinity="None"), "a", T1)
    new = clone(old)
    del new["spec"]["sessionAffinity"]
    new = update(old, new, "b")
    assert [item["manager"] for item in new["metadata"]["managedFields"]] == ["a"]
    assert _without_root(new["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]) == {"f:type": {}}


def test_status_has_an_entry_of_its_own() -> None:
    old = update(None, service(type="ClusterIP"), "a", T1)
    new = clone(old) | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    new = update(old, new, "a", subresource="status")
    entries = new["metadata"]["managedFields"]
    assert [(item["manager"], item.get("subresource", "")) for item in entries] == [("a", ""), ("a", "status")]


def test_a_client_may_edit_or_reset_the_list() -> None:
    old = update(None, service(type="ClusterIP"), "kubectl-client-side-apply", T1)
    edited = clone(old)
    edited["metadata"]["managedFields"][0] |= {"manager": "kustomize-controller", "operation": "Apply"}
    edited = update(old, edited, "kustomize-controller")
    assert [(item["manager"], item["operation"]) for item in edited["metadata"]["managedFields"]] == [
        ("kustomize-controller", "Apply")
    ]
    reset = clone(old)
    reset["metadata"]["managedFields"] = [{}]
    assert "managedFields" not in update(old, reset, "x")["metadata"]
    silent = clone(old)
    del silent["metadata"]["managedFields"]
    assert update(old, silent, "x")["metadata"]["managedFields"] == old["metadata"]["managedFields"]


def test_old_updaters_are_joined() -> None:
    obj = update(None, service(type="ClusterIP"), "m0", T1)
    for number in range(1, 15):
        new = clone(obj)
        new["metadata"].setdefault("annotations", {})[f"k{number}"] = "v"
        obj = update(obj, new, f"m{number}", T1 + timedelta(minutes=number))
    names = [item["manager"] for item in obj["metadata"]["managedFields"]]
    assert len(names) == 10
    assert names[0] == "ancient-changes"
    assert names[-1] == "m14"


def test_set_operations() -> None:
    one = {"f:a": {".": {}, "f:b": {}}, "f:c": {}}
    two = {"f:a": {}, "f:c": {"f:d": {}}}
    assert sets.union(one, two) == {"f:a": {".": {}, "f:b": {}}, "f:c": {".": {}, "f:d": {}}}
    assert sets.difference(one, two) == {"f:a": {"f:b": {}}, "f:c": {}}
    assert sets.intersection(one, two) == {"f:a": {}}
    assert list(sets.paths({"f:s": {'v:"x"': {}, "i:2": {}}})) == [".s[2]", '.s[="x"]']
