"""Nix's builtins, as modules use them."""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Protocol

from typing_extensions import override

from nerv import documents
from nerv.nix import coercion, patterns
from nerv.nix.arguments import attributes, boolean, integer, items, member, number, text, texts
from nerv.nix.values import (
    Builtin,
    Closure,
    EvaluationError,
    NotModelled,
    Partial,
    Path,
    Set,
    apply,
    force,
    is_function,
    kind,
    later,
)

NIX_VERSION = "2.28.5"
"""Of NixOS 25.05."""
_GLOBAL = (
    *("abort", "baseNameOf", "derivation", "dirOf", "fetchGit", "fetchTarball", "fetchTree", "fromTOML", "import"),
    *("isNull", "map", "placeholder", "removeAttrs", "throw", "toString"),
)


class Files(Protocol):
    """The repository, as builtins read it."""

    def imported(self, path: object) -> object: ...
    def inside(self, path: object) -> str: ...
    def exists(self, inside: str) -> bool: ...
    def listed(self, inside: str) -> Mapping[str, str]: ...
    def text(self, path: object) -> str: ...


def function(name: str, python: Callable[..., object]) -> Builtin:
    """A function of as many arguments as the Python function has."""
    return Builtin(name, len(inspect.signature(python).parameters), python)


def make(files: Files) -> dict[str, object]:
    """The names that are known everywhere; `builtins` is the set of all."""
    reading: dict[str, Callable[..., object]] = {
        "import": files.imported,
        "readFile": files.text,
        "pathExists": lambda path: _exists(files, path),
        "readDir": lambda path: Set(files.listed(files.inside(path))),
        "readFileType": lambda path: _type_of(files, path),
        "filterSource": lambda _keep, path: force(path),
        "path": lambda arguments: force(member(attributes(arguments), "path")),
    }
    read = {name: function(name, python) for name, python in reading.items()}
    made = _Builtins({**functions(), **read, **_CONSTANTS})
    made["builtins"] = made
    everywhere: dict[str, object] = {name: made[name] for name in _GLOBAL}
    everywhere |= {f"__{name}": value for name, value in made.items()}
    return {**everywhere, "__curPos": None, "builtins": made}


def functions() -> dict[str, object]:
    """Builtins that read no file."""
    return {name: function(name, python) for name, python in _FUNCTIONS.items()}


class _Builtins(Partial):
    """The set `builtins`."""

    __slots__ = ()

    @override
    def missing(self, name: str) -> object:
        raise NotModelled(f"builtins.{name} is not known offline")


def _exists(files: Files, path: object) -> object:
    try:
        return files.exists(files.inside(path))
    except NotModelled:
        raise
    except EvaluationError:
        return False


def _type_of(files: Files, path: object) -> object:
    folder, _, name = files.inside(path).rpartition("/")
    return member(Set(files.listed(folder)), name)


# --- sets


def attr_names(values: object) -> object:
    return sorted(attributes(values), key=str.encode)


def attr_values(values: object) -> object:
    found = attributes(values)
    return [found[name] for name in sorted(found, key=str.encode)]


def map_attrs(mapped: object, values: object) -> object:
    found = attributes(values)
    return Set({name: _later(mapped, name, value) for name, value in found.items()}, found.places)


def _later(called: object, *arguments: object) -> object:
    return later(lambda: apply(called, *arguments))


def get_attr(name: object, values: object) -> object:
    return force(member(attributes(values), text(name)))


def has_attr(name: object, values: object) -> object:
    return text(name) in attributes(values)


def remove_attrs(values: object, names: object) -> object:
    found, removed = attributes(values), set(texts(names))
    return Set({name: value for name, value in found.items() if name not in removed}, found.places)


def intersect_attrs(wanted: object, values: object) -> object:
    names, found = attributes(wanted), attributes(values)
    return Set({name: value for name, value in found.items() if name in names}, found.places)


def list_to_attrs(pairs: object) -> object:
    made = Set()
    for pair in map(attributes, items(pairs)):
        made.setdefault(text(member(pair, "name")), member(pair, "value"))
    return made


def cat_attrs(name: object, sets: object) -> object:
    wanted = text(name)
    return [found[wanted] for found in map(attributes, items(sets)) if wanted in found]


def zip_attrs_with(joined: object, sets: object) -> object:
    found: dict[str, list[object]] = {}
    for values in map(attributes, items(sets)):
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return Set({name: _later(joined, name, values) for name, values in found.items()})


def function_args(called: object) -> object:
    called = force(called)
    if isinstance(called, Set) and "__functionArgs" in called:
        return force(called["__functionArgs"])
    if not is_function(called):
        raise EvaluationError(f"a function is wanted, but {kind(called)} is given")
    return Set(called.parameters or {}) if isinstance(called, Closure) else Set()


# --- lists


def map_list(mapped: object, values: object) -> object:
    return [_later(mapped, value) for value in items(values)]


def filter_list(keep: object, values: object) -> object:
    return [value for value in items(values) if boolean(apply(keep, value))]


def fold(joined: object, start: object, values: object) -> object:
    made = start
    for value in items(values):
        made = apply(joined, made, value)
    return force(made)


def concat_lists(lists: object) -> object:
    return [value for inner in items(lists) for value in items(inner)]


def concat_map(mapped: object, values: object) -> object:
    return [inner for value in items(values) for inner in items(apply(mapped, value))]


def gen_list(made: object, count: object) -> object:
    return [_later(made, number) for number in range(integer(count))]


def sort_list(before: object, values: object) -> object:
    def compare(left: object, right: object) -> int:
        if boolean(apply(before, left, right)):
            return -1
        return 1 if boolean(apply(before, right, left)) else 0

    return sorted(items(values), key=functools.cmp_to_key(compare))


def elem(wanted: object, values: object) -> object:
    return any(coercion.equal(wanted, value) for value in items(values))


def elem_at(values: object, position: object) -> object:
    found, at = items(values), integer(position)
    if not 0 <= at < len(found):
        raise EvaluationError(f"position {at} is outside a list of {len(found)}")
    return force(found[at])


def head(values: object) -> object:
    return elem_at(values, 0)


def tail(values: object) -> object:
    found = items(values)
    if not found:
        raise EvaluationError("an empty list has no tail")
    return found[1:]


def any_of(holds: object, values: object) -> object:
    return any(boolean(apply(holds, value)) for value in items(values))


def all_of(holds: object, values: object) -> object:
    return all(boolean(apply(holds, value)) for value in items(values))


def partition(holds: object, values: object) -> object:
    right: list[object] = []
    wrong: list[object] = []
    for value in items(values):
        (right if boolean(apply(holds, value)) else wrong).append(value)
    return Set({"right": right, "wrong": wrong})


def group_by(key: object, values: object) -> object:
    made: dict[str, list[object]] = {}
    for value in items(values):
        made.setdefault(text(apply(key, value)), []).append(value)
    return Set(made)


def generic_closure(arguments: object) -> object:
    given = attributes(arguments)
    waiting, made, seen = list(items(member(given, "startSet"))), [], list[object]()
    while waiting:
        value = waiting.pop(0)
        key = force(member(attributes(value), "key"))
        if not any(coercion.equal(key, other) for other in seen):
            seen.append(key)
            made.append(value)
            waiting += items(apply(member(given, "operator"), value))
    return made


# --- text


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


# --- data


def from_json(value: object) -> object:
    try:
        return coercion.from_plain(documents.load_json(text(value)))
    except documents.DocumentError as error:
        raise EvaluationError(f"not valid JSON: {error.message}") from None


def from_toml(value: object) -> object:
    try:
        return coercion.from_plain(tomllib.loads(text(value)))
    except tomllib.TOMLDecodeError as error:
        raise EvaluationError(f"not valid TOML: {error}") from None


def to_file(name: object, value: object) -> object:
    return coercion.store_path(text(name), text(value))


def derivation(arguments: object) -> object:
    given = attributes(arguments)
    name = text(member(given, "name"))
    path = coercion.store_path(name, "derivation")
    outputs = {"type": "derivation", "outPath": path, "drvPath": f"{path}.drv", "outputName": "out"}
    return Set({**given, **outputs})


# --- control


def seq(first: object, second: object) -> object:
    force(first)
    return force(second)


def deep_seq(first: object, second: object) -> object:
    force_all(first)
    return force(second)


def force_all(value: object) -> None:
    """Compute all of a value but what functions and packages hold."""
    value = force(value)
    if isinstance(value, list):
        for item in value:
            force_all(item)
    elif isinstance(value, Set) and "outPath" not in value:
        for item in value.values():
            force_all(item)


def throw(message: object) -> object:
    raise Thrown(coercion.interpolated(message))


class Thrown(EvaluationError):
    """What `throw` raises, and `tryEval` catches."""


def try_eval(value: object) -> object:
    try:
        return Set({"success": True, "value": force(value)})
    except NotModelled:
        raise
    except EvaluationError as error:
        if not isinstance(error, Thrown) and "assertion" not in error.message:
            raise
        return Set({"success": False, "value": False})


def trace(_message: object, value: object) -> object:
    return force(value)


def type_of(value: object) -> object:
    value = force(value)
    words = kind(value).rpartition(" ")[2]
    short = {"boolean": "bool", "integer": "int", "function": "lambda"}
    return short.get(words, words)


def _refused(what: str) -> Callable[[object], object]:
    def refused(_arguments: object) -> object:
        raise NotModelled(f"builtins.{what} is not run offline")

    return refused


def _is(*types: type) -> Callable[[object], object]:
    def test(value: object) -> object:
        value = force(value)
        return isinstance(value, types) and (bool in types or not isinstance(value, bool))

    return test


_CONSTANTS: dict[str, object] = {
    "nixVersion": NIX_VERSION,
    "langVersion": 6,
    "storeDir": "/nix/store",
    "nixPath": [],
    "true": True,
    "false": False,
    "null": None,
}

_FUNCTIONS: dict[str, Callable[..., object]] = {
    "abort": throw,
    "add": lambda a, b: number(a) + number(b),
    "all": all_of,
    "any": any_of,
    "attrNames": attr_names,
    "attrValues": attr_values,
    "baseNameOf": base_name_of,
    "bitAnd": lambda a, b: integer(a) & integer(b),
    "bitOr": lambda a, b: integer(a) | integer(b),
    "bitXor": lambda a, b: integer(a) ^ integer(b),
    "catAttrs": cat_attrs,
    "ceil": lambda a: math.ceil(number(a)),
    "compareVersions": compare_versions,
    "concatLists": concat_lists,
    "concatMap": concat_map,
    "concatStringsSep": concat_strings_sep,
    "deepSeq": deep_seq,
    "derivation": derivation,
    "derivationStrict": derivation,
    "dirOf": dir_of,
    "div": lambda a, b: _divided(number(a), number(b)),
    "elem": elem,
    "elemAt": elem_at,
    "fetchClosure": _refused("fetchClosure"),
    "fetchGit": _refused("fetchGit"),
    "fetchTarball": _refused("fetchTarball"),
    "fetchTree": _refused("fetchTree"),
    "fetchurl": _refused("fetchurl"),
    "filter": filter_list,
    "floor": lambda a: math.floor(number(a)),
    "foldl'": fold,
    "fromJSON": from_json,
    "fromTOML": from_toml,
    "functionArgs": function_args,
    "genList": gen_list,
    "genericClosure": generic_closure,
    "getAttr": get_attr,
    "getContext": lambda _value: Set(),
    "getEnv": lambda _name: "",
    "getFlake": _refused("getFlake"),
    "groupBy": group_by,
    "hasAttr": has_attr,
    "hasContext": lambda _value: False,
    "hashString": hash_string,
    "head": head,
    "intersectAttrs": intersect_attrs,
    "isAttrs": _is(Set),
    "isBool": _is(bool),
    "isFloat": _is(float),
    "isFunction": _is(Closure, Builtin),
    "isInt": _is(int),
    "isList": _is(list),
    "isNull": lambda value: force(value) is None,
    "isPath": _is(Path),
    "isString": _is(str),
    "length": lambda values: len(items(values)),
    "lessThan": coercion.less,
    "listToAttrs": list_to_attrs,
    "map": map_list,
    "mapAttrs": map_attrs,
    "match": match,
    "mul": lambda a, b: number(a) * number(b),
    "parseDrvName": parse_drv_name,
    "partition": partition,
    "placeholder": lambda name: coercion.store_path(text(name), "placeholder"),
    "removeAttrs": remove_attrs,
    "replaceStrings": replace_strings,
    "seq": seq,
    "sort": sort_list,
    "split": split,
    "splitVersion": split_version,
    "stringLength": string_length,
    "sub": lambda a, b: number(a) - number(b),
    "substring": substring,
    "tail": tail,
    "throw": throw,
    "toFile": to_file,
    "toJSON": coercion.to_json,
    "toPath": lambda value: Path(coercion.interpolated(value)),
    "toString": coercion.to_text,
    "trace": trace,
    "traceVerbose": trace,
    "tryEval": try_eval,
    "typeOf": type_of,
    "unsafeDiscardOutputDependency": coercion.interpolated,
    "unsafeDiscardStringContext": coercion.interpolated,
    "unsafeGetAttrPos": lambda _name, _values: None,
    "warn": trace,
    "zipAttrsWith": zip_attrs_with,
}


def _divided(left: int | float, right: int | float) -> object:
    if right == 0:
        raise EvaluationError("division by zero")
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right
