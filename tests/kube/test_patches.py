"""JSON patch, merge patch and strategic merge patch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.kube import patches, schemas
from nerv.kube.objects import GroupVersionKind, clone

DEPLOYMENT = schemas.builtin(GroupVersionKind("apps", "v1", "Deployment"))
SERVICE = schemas.builtin(GroupVersionKind("", "v1", "Service"))
assert DEPLOYMENT is not None
assert SERVICE is not None


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/b", "value": 1}], {"a": [1, 2], "b": 1}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2]}),
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}),
        ([{"op": "remove", "path": "/a/1"}], {"a": [1]}),
        ([{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2]}),
        ([{"op": "move", "from": "/a", "path": "/x~1y~0"}], {"x/y~": [1, 2]}),
        ([{"op": "copy", "from": "/a/0", "path": "/c"}], {"a": [1, 2], "c": 1}),
        ([{"op": "test", "path": "/a", "value": [1, 2]}, {"op": "remove", "path": "/a"}], {}),
        ([{"op": "replace", "path": "", "value": {"n": 1}}], {"n": 1}),
        ([{"op": "add", "path": "/n", "value": None}], {"a": [1, 2], "n": None}),
    ],
)
def test_json_patch(operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    original = {"a": [1, 2]}
    assert patches.json_patch(original, operations) == expected
    assert original == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"op": "remove", "path": "/x"}, 'remove operation does not apply: doc is missing path: "/x": missing value'),
        ({"op": "replace", "path": "/x", "value": 1}, "doc is missing path"),
        ({"op": "add", "path": "/a/5", "value": 1}, "doc is missing path"),
        ({"op": "add", "path": "/a/01", "value": 1}, "doc is missing path"),
        ({"op": "add", "path": "/x/y", "value": 1}, "doc is missing path"),
        ({"op": "bogus", "path": "/a", "value": 1}, "unexpected kind: bogus"),
        ({"op": "add", "path": "/a"}, "needs a value"),
        ({"op": "replace", "path": "", "value": 1}, "not an object"),
        ({"op": "add"}, "missing path"),
        ({"op": "add", "path": "a", "value": 1}, "doc is missing path"),
    ],
)
def test_json_patch_errors(operation: dict[str, Any], message: str) -> None:
    with pytest.raises(patches.PatchError, match=message):
        patches.json_patch({"a": [1, 2]}, [operation])


def test_a_failed_test_is_told_apart() -> None:
    with pytest.raises(patches.DoesNotApply, match="testing value /a failed: test failed"):
        patches.json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": True}])


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"a": None}, {"b": {"c": 1}}),
        ({"b": {"c": None, "d": 2}}, {"a": "x", "b": {"d": 2}}),
        ({"b": [1]}, {"a": "x", "b": [1]}),
        ({"n": {"m": None, "k": 1}}, {"a": "x", "b": {"c": 1}, "n": {"k": 1}}),
    ],
)
def test_merge_patch(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    original = {"a": "x", "b": {"c": 1}}
    assert patches.merge_patch(original, patch) == expected
    assert original == {"a": "x", "b": {"c": 1}}


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)
_objects = st.dictionaries(st.text("abc", min_size=1, max_size=1), _json, max_size=3)


@given(_objects, _objects)
def test_merge_patch_is_idempotent_and_pure(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    before = clone(obj)
    once = patches.merge_patch(obj, patch)
    assert patches.merge_patch(once, patch) == once
    assert obj == before


def _deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers)}}, **spec}}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (  # merges by name, keeps others
            _deployment({"name": "b", "image": "new"}),
            _deployment({"name": "a", "image": "1"}, {"name": "b", "image": "new"}),
        ),
        (  # adds before what only the server has
            _deployment({"name": "c"}),
            _deployment({"name": "c"}, {"name": "a", "image": "1"}, {"name": "b", "image": "2"}),
        ),
        (_deployment({"name": "a", "$patch": "delete"}), _deployment({"name": "b", "image": "2"})),
        (_deployment({"$patch": "replace"}, {"name": "z"}), _deployment({"name": "z"})),
        (
            {
                "spec": {
                    "template": {
                        "spec": {
                            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                            "containers": [{"name": "a", "image": "9"}],
                        }
                    }
                }
            },
            _deployment({"name": "b", "image": "2"}, {"name": "a", "image": "9"}),
        ),
    ],
)
def test_strategic_lists(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    original = _deployment({"name": "a", "image": "1"}, {"name": "b", "image": "2"})
    before = clone(original)
    assert patches.strategic_merge(original, patch, DEPLOYMENT) == expected
    assert original == before


def test_strategic_retain_keys_drops_the_other_strategy() -> None:
    original = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patches.strategic_merge(original, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_strategic_primitive_lists() -> None:
    original = {"metadata": {"finalizers": ["a", "b", "c"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]}}
    assert patches.strategic_merge(original, patch, DEPLOYMENT) == {"metadata": {"finalizers": ["d", "a", "c"]}}


def test_strategic_ports_of_a_service_merge_by_port() -> None:
    original = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}
    patch = {"spec": {"ports": [{"port": 81, "name": "c"}]}}
    expected = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "c"}]}}
    assert patches.strategic_merge(original, patch, SERVICE) == expected


def test_strategic_delete_and_replace_of_maps() -> None:
    original = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 1}}
    replaced = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}
    assert patches.strategic_merge(original, replaced, DEPLOYMENT)["metadata"] == {"labels": {"c": "3"}}
    deleted = {"metadata": {"labels": {"$patch": "delete"}, "annotations": {"x": None}}}
    assert patches.strategic_merge(original, deleted, DEPLOYMENT)["metadata"] == {"annotations": {}}


def test_strategic_item_without_its_key_is_refused() -> None:
    with pytest.raises(patches.PatchError, match="does not contain declared merge key: name"):
        patches.strategic_merge(_deployment(), _deployment({"image": "x"}), DEPLOYMENT)


def test_atomic_list_is_replaced() -> None:
    original = _deployment({"name": "a", "args": ["1", "2"]})
    patch = _deployment({"name": "a", "args": ["3"]})
    assert patches.strategic_merge(original, patch, DEPLOYMENT) == patch
