"""Pydantic's errors in the definition's own words, with hints: what was expected, what was meant."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from nerv.platform.findings import Finding
from nerv.platform.source import Path
from nerv.platform.types import not_text

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}


def finding(error: Mapping[str, Any], model: type[BaseModel]) -> Finding:
    """The finding for one of pydantic's errors over `model`."""
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    value = error["input"]
    if kind == "nerv":
        return Finding(path, context["message"], context["hint"])
    if kind == "missing":
        return Finding(path, f"`{path[-1]}` is missing", _purpose(model, path))
    if kind == "extra_forbidden":
        return _unknown_key(model, path)
    if kind in ("literal_error", "enum"):
        return _not_one_of(path, value, str(context["expected"]))
    if kind == "string_type":
        wrong = not_text(value).context or {}
        return Finding(path, wrong["message"], wrong["hint"])
    if kind in _EXPECTED:
        return Finding(path, f"expected {_EXPECTED[kind]}, found {describe(value)}", _shape_hint(kind, value))
    limits = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    if kind in limits:
        words, key = limits[kind]
        return Finding(path, f"{value} is out of range", f"{words} {context[key]}")
    if kind == "too_short":
        return Finding(path, f"at least {context['min_length']} is needed", _purpose(model, path))
    return Finding(path, str(error["msg"]))


def is_consequence(error: Mapping[str, Any]) -> bool:
    """Whether the error only repeats others: a list counts as short because its items were refused."""
    return bool(error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"])


def describe(value: Any) -> str:
    """What kind of value this is, for people."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text `{value}`" if len(value) < 60 and "\n" not in value else "text"
    return _KINDS.get(type(value), "something else")


def _shape_hint(kind: str, value: Any) -> str:
    if value is None and kind == "model_type":
        return "`{}` takes the defaults"
    return "begin each item with `- `" if kind in ("list_type", "tuple_type") else ""


def _unknown_key(model: type[BaseModel], path: Path) -> Finding:
    known = sorted(_fields(model, path[:-1]))
    key = str(path[-1])
    folded = {name.lower(): name for name in known}
    plain = key.replace("_", "").replace("-", "").lower()
    close = [folded[plain]] if plain in folded else difflib.get_close_matches(key, known, 1, 0.6)
    if close:
        return Finding(path, f"unknown key `{key}`", f"did you mean `{close[0]}`?")
    return Finding(path, f"unknown key `{key}`", f"known here: {', '.join(known)}" if known else "")


def _not_one_of(path: Path, value: Any, expected: str) -> Finding:
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
    close = difflib.get_close_matches(str(value), choices, 1, 0.6)
    listed = " or ".join((", ".join(choices[:-1]), choices[-1])) if len(choices) > 1 else choices[0]
    found = describe(value) if value is None or isinstance(value, (list, dict)) else f"`{value}`"
    if isinstance(value, (float, int)) and not isinstance(value, bool) and str(value) in choices:
        return Finding(path, f"expected text, found the number {value}", "put it in quotes")
    return Finding(path, f"{found} is not {listed}", f"did you mean `{close[0]}`?" if close else "")


def _purpose(model: type[BaseModel], path: Path) -> str:
    field = _fields(model, path[:-1]).get(str(path[-1]))
    text = (field.description or "") if field else ""
    return text.splitlines()[0].rstrip(".") if text else ""


def _fields(model: type[BaseModel], path: Path) -> dict[str, Any]:
    """Fields by their key in the file, of the model that `path` leads to; none where it is not a model."""
    annotation: Any = model
    for step in path:
        if isinstance(step, int):
            arguments = typing.get_args(_plain(annotation))
            annotation = arguments[0] if arguments else None
            continue
        field = _by_key(_plain(annotation)).get(step)
        if field is None:
            return {}
        annotation = field.annotation
    return _by_key(_plain(annotation))


def _by_key(annotation: Any) -> dict[str, Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {field.alias or name: field for name, field in annotation.model_fields.items()}
    return {}


def _plain(annotation: Any) -> Any:
    """Without Annotated and without None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        others = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _plain(others[0]) if others else annotation
    return annotation
