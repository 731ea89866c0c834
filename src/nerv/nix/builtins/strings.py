"""Strings, paths, patterns and versions."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable

from nerv.nix import coercion, patterns
from nerv.nix.arguments import integer, items, text, texts
from nerv.nix.values import (
    EvaluationError,
    Path,
    Set,
    force,
)


def concat_strings_sep(separator: object, values: object) -> object:
    return text(separator).join(coercion.interpolated(value) for value in items(values))


def substring(start: object, length: object, value: object) -> object:
    data, begin, count = coercion.interpolated(value).encode(), integer(start), integer(length)
    if begin < 0:
        raise EvaluationError("a substring cannot begin before its string")
    return data[begin : None if count < 0 else begin + count].decode(errors="replace")


def string_length(value: object) -> object:
    return len(coercion.interpolated(value).encode())


def replace_strings(old: object, new: object, value: object) -> object:
    olds, news, data = texts(old), items(new), text(value)
    if len(olds) != len(news):
        raise EvaluationError("replaceStrings wants two lists of one length")
    made, at = [], 0
    while at <= len(data):
        found = next((n for n, sought in enumerate(olds) if data.startswith(sought, at)), None)
        if found is not None:
            made.append(text(news[found]))
        if found is None or not olds[found]:
            made.append(data[at : at + 1])
            at += 1
        else:
            at += len(olds[found])
    return "".join(made)


def match(pattern: object, value: object) -> object:
    found = patterns.compiled(text(pattern)).fullmatch(text(value))
    return None if found is None else list(found.groups())


def split(pattern: object, value: object) -> object:
    data, made, at = text(value), list[object](), 0
    for found in patterns.compiled(text(pattern)).finditer(data):
        made += [data[at : found.start()], list(found.groups())]
        at = found.end()
    return [*made, data[at:]]


def base_name_of(value: object) -> object:
    value = force(value)
    return posixpath.basename((value.text if isinstance(value, Path) else coercion.interpolated(value)).rstrip("/"))


def dir_of(value: object) -> object:
    value = force(value)
    if isinstance(value, Path):
        return Path(posixpath.dirname(value.text))
    return posixpath.dirname(coercion.interpolated(value)) or "."


def hash_string(method: object, value: object) -> object:
    name = text(method)
    if name not in ("md5", "sha1", "sha256", "sha512"):
        raise EvaluationError(f"`{name}` is not a hash function")
    return hashlib.new(name, text(value).encode(), usedforsecurity=False).hexdigest()


def split_version(version: object) -> object:
    return re.findall(r"[0-9]+|[^0-9.\-]+", text(version))


def compare_versions(left: object, right: object) -> object:
    first, second = (re.findall(r"[0-9]+|[^0-9.\-]+", text(version)) for version in (left, right))
    length = max(len(first), len(second))
    for mine, other in zip(
        [*first, *[""] * (length - len(first))], [*second, *[""] * (length - len(second))], strict=True
    ):
        if mine != other:
            return -1 if _older(mine, other) else 1
    return 0


def _older(mine: str, other: str) -> bool:
    """The order of parts of versions: numbers by value, `pre` before all, words before numbers."""
    if mine.isdigit() and other.isdigit():
        return int(mine) < int(other)
    if "pre" in (mine, other) and not (mine == "" and other.isdigit()):
        return mine == "pre"
    if other.isdigit():
        return True
    return not mine.isdigit() and mine < other


def parse_drv_name(value: object) -> object:
    found = re.fullmatch(r"(.*?)(?:-([0-9].*))?", text(value), re.DOTALL)
    assert found
    return Set({"name": found[1], "version": found[2] or ""})


FUNCTIONS: dict[str, Callable[..., object]] = {
    "baseNameOf": base_name_of,
    "compareVersions": compare_versions,
    "concatStringsSep": concat_strings_sep,
    "dirOf": dir_of,
    "getContext": lambda _value: Set(),
    "hasContext": lambda _value: False,
    "hashString": hash_string,
    "match": match,
    "parseDrvName": parse_drv_name,
    "placeholder": lambda name: coercion.store_path(text(name), "placeholder"),
    "replaceStrings": replace_strings,
    "split": split,
    "splitVersion": split_version,
    "stringLength": string_length,
    "substring": substring,
    "toPath": lambda value: Path(coercion.interpolated(value)),
    "toString": coercion.to_text,
    "unsafeDiscardOutputDependency": coercion.interpolated,
    "unsafeDiscardStringContext": coercion.interpolated,
}
