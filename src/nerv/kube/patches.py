"""JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch.

Every function returns a new object and leaves its arguments alone. `PatchError` says what is wrong with the patch;
`DoesNotApply` that it does not fit the object (a 422 of the API server).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nerv.kube.objects import Object, clone
from nerv.kube.schemas.view import Schema
from nerv.kube.strategic import PatchError, merge

__all__ = ["DoesNotApply", "PatchError", "json_patch", "merge_patch", "strategic_merge"]


class DoesNotApply(PatchError):
    """A JSON patch is well-formed and does not fit the object: a path is missing, a `test` did not hold."""


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return clone(patch)
    result = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_merge(obj: Object, patch: Object, schema: Schema) -> Object:
    """Merges lists by the keys of the schema and obeys `$patch`, `$retainKeys`, `$deleteFromPrimitiveList` and
    `$setElementOrder`. Raises PatchError."""
    merged = merge(obj, patch, schema)
    return merged if isinstance(merged, dict) else {}


def json_patch(obj: Object, operations: Sequence[Mapping[str, Any]]) -> Object:
    """RFC 6902. Raises PatchError or DoesNotApply."""
    if not isinstance(operations, list):
        raise PatchError("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document: Any = clone(obj)
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError(
                "json: cannot unmarshal a value that is no object into Go value of type jsonpatch.Operation"
            )
        if not isinstance(operation.get("from", ""), str):
            raise PatchError(f"{operation.get('op')} operation does not apply: missing from path")
        document = _apply(document, operation)
    if not isinstance(document, dict):
        raise PatchError("the patch replaces the object by something that is not an object")
    return document


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    verb, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str):
        raise PatchError(f"{verb} operation does not apply: missing path")
    if verb == "test":
        if not same(_get(document, path, verb), operation.get("value")):
            raise DoesNotApply(f"testing value {path} failed: test failed")
        return document
    if verb == "remove":
        return _remove(document, path, verb)
    if verb == "move":
        value = _get(document, operation.get("from", ""), verb)
        return _add(_remove(document, operation.get("from", ""), verb), path, value, verb)
    if verb == "copy":
        return _add(document, path, clone(_get(document, operation.get("from", ""), verb)), verb)
    if verb in ("add", "replace") and "value" in operation:
        if verb == "replace" and path:
            _get(document, path, verb)
            parent, name = _parent(document, path, verb)
            if isinstance(parent, list):
                parent[_position(parent, name, path, verb, 0)] = clone(operation["value"])
                return document
        return _add(document, path, clone(operation["value"]), verb)
    raise PatchError(f"unexpected kind: {verb}" if "value" in operation else f"{verb} operation needs a value")


def same(one: Any, two: Any) -> bool:
    """Equality of JSON values: `True` is not 1."""
    if isinstance(one, bool) != isinstance(two, bool):
        return False
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(value, two[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)


def _parts(path: str, verb: str) -> list[str]:
    if path and not path.startswith("/"):
        raise PatchError(f"{verb} operation does not apply: doc is missing path: {path!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _missing(path: str, verb: str) -> DoesNotApply:
    quoted = path.replace('"', '\\"')
    return DoesNotApply(f'{verb} operation does not apply: doc is missing path: "{quoted}": missing value')


def _position(items: list[Any], part: str, path: str, verb: str, room: int) -> int:
    """The index that a part of a path means; `room` 1 allows the place behind the last item."""
    if part == "-" and room:
        return len(items)
    if not part.isdigit() or (len(part) > 1 and part.startswith("0")) or int(part) >= len(items) + room:
        raise _missing(path, verb)
    return int(part)


def _get(document: Any, path: str, verb: str) -> Any:
    value = document
    for part in _parts(path, verb):
        if isinstance(value, dict):
            if part not in value:
                raise _missing(path, verb)
            value = value[part]
        elif isinstance(value, list):
            value = value[_position(value, part, path, verb, 0)]
        else:
            raise _missing(path, verb)
    return value


def _parent(document: Any, path: str, verb: str) -> tuple[Any, str]:
    head, _, _ = path.rpartition("/")
    return _get(document, head, verb), _parts(path, verb)[-1]


def _add(document: Any, path: str, value: Any, verb: str) -> Any:
    if not path:
        return value
    parent, name = _parent(document, path, verb)
    if isinstance(parent, list):
        parent.insert(_position(parent, name, path, verb, 1), value)
    elif isinstance(parent, dict):
        parent[name] = value
    else:
        raise _missing(path, verb)
    return document


def _remove(document: Any, path: str, verb: str) -> Any:
    if not path:
        return None
    _get(document, path, verb)
    parent, name = _parent(document, path, verb)
    if isinstance(parent, list):
        del parent[_position(parent, name, path, verb, 0)]
    else:
        del parent[name]
    return document
