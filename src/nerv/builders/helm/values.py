"""Values: how they are merged, set by path, and digested.

Facts: https://helm.sh/docs/chart_template_guide/values_files/ and Flux's `valuesFrom`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from nerv import documents
from nerv.builders.helm import sdk
from nerv.kube.objects import clone

_SYNTAX = str.maketrans({letter: f"\\{letter}" for letter in "\\,[]{}"})


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both together; where both have a map it is merged, otherwise `over` wins, null included."""
    result = dict(base)
    for name, value in over.items():
        present = result.get(name)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            result[name] = merge(present, value)
        else:
            result[name] = value
    return result


def set_path(values: Mapping[str, Any], path: str, text: str, *, literal: bool = False) -> dict[str, Any]:
    """The values with `text` set at a path of `--set` syntax; quoted text stays a string. Raises sdk.HelmError."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if literal:
        expression = f"{path}={text.translate(_SYNTAX)}"
    elif quoted:
        stripped = text.strip("'\"")
        expression = f"{path}={stripped}"
    else:
        expression = f"{path}={text}"
    found = sdk.parse_set(expression, as_string=literal or quoted)
    result: dict[str, Any] = _into(clone(dict(values)), found, "[" in path)
    return result


def _into(present: Any, found: Any, by_index: bool) -> Any:
    """Put what an expression said into present values; list items that it did not name are null and stay."""
    if isinstance(found, dict) and isinstance(present, dict):
        return {**present, **{name: _into(present.get(name), value, by_index) for name, value in found.items()}}
    if by_index and isinstance(found, list) and isinstance(present, list):
        length = max(len(found), len(present))
        pairs = zip(_padded(present, length), _padded(found, length), strict=True)
        return [old if new is None else _into(old, new, by_index) for old, new in pairs]
    return found


def _padded(items: list[Any], length: int) -> list[Any]:
    return [*items, *([None] * (length - len(items)))]


def digest(values: Mapping[str, Any]) -> str:
    """`sha256:...` over the values as sorted YAML, Flux's canonical form; no values at all digest as no text."""
    text = documents.dump_sorted(values) if values else ""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
