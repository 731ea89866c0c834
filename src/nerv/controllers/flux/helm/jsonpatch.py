"""The JSON patch from one value to another, and values without what pointers name (RFC 6901, RFC 6902). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nerv.kube.objects import clone

Operation = dict[str, Any]


def operations(before: Any, after: Any, path: str = "") -> list[Operation]:
    """What turns `before` into `after`; list items are compared by position."""
    if isinstance(before, dict) and isinstance(after, dict):
        return _maps(before, after, path)
    if isinstance(before, list) and isinstance(after, list):
        return _lists(before, after, path)
    return [] if before == after else [{"op": "replace", "path": path, "value": after}]


def _maps(before: dict[str, Any], after: dict[str, Any], path: str) -> list[Operation]:
    found: list[Operation] = []
    for name in sorted(before.keys() | after.keys()):
        place = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in after:
            found.append({"op": "remove", "path": place})
        elif name not in before:
            found.append({"op": "add", "path": place, "value": after[name]})
        else:
            found += operations(before[name], after[name], place)
    return found


def _lists(before: list[Any], after: list[Any], path: str) -> list[Operation]:
    common = min(len(before), len(after))
    found = [each for place in range(common) for each in operations(before[place], after[place], f"{path}/{place}")]
    # from the end, so that positions stay true while the patch is applied
    found += [{"op": "remove", "path": f"{path}/{place}"} for place in range(len(before) - 1, common - 1, -1)]
    found += [{"op": "add", "path": f"{path}/-", "value": value} for value in after[common:]]
    return found


def without(value: Any, pointers: Iterable[str]) -> Any:
    """A copy without the values that the pointers name; pointers to nothing are fine."""
    copied = clone(value)
    for pointer in pointers:
        _remove(copied, [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]])
    return copied


def _remove(value: Any, parts: list[str]) -> None:
    for part in parts[:-1]:
        value = _child(value, part)
    if not parts:
        return
    last = parts[-1]
    if isinstance(value, dict):
        value.pop(last, None)
    elif isinstance(value, list) and last.isdigit() and int(last) < len(value):
        del value[int(last)]


def _child(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    return None
