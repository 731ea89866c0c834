"""Strings, words of a shell, search paths, versions."""

from __future__ import annotations

import re
from collections.abc import Callable

from nerv.nix import coercion
from nerv.nix.arguments import attributes, boolean, integer, items, text, texts
from nerv.nix.builtins import strings as builtin_strings
from nerv.nix.values import (
    EvaluationError,
    Set,
    apply,
    force,
)


def _mapped_text(separator: object, mapped: object, values: object) -> object:
    return text(separator).join(coercion.interpolated(apply(mapped, value)) for value in items(values))


def _imapped_text(separator: object, mapped: object, values: object) -> object:
    made = (coercion.interpolated(apply(mapped, number, value)) for number, value in enumerate(items(values), 1))
    return text(separator).join(made)


def _mapped_attrs_text(separator: object, mapped: object, values: object) -> object:
    found = attributes(values)
    made = (coercion.interpolated(apply(mapped, name, found[name])) for name in sorted(found))
    return text(separator).join(made)


def _split_string(separator: object, value: object) -> object:
    return list(text(value).split(text(separator)))


def shell_argument(value: object) -> str:
    """A word of a shell, quoted where it must be."""
    word = coercion.to_text(value)
    if re.fullmatch(r"[\w,._+:@%/-]+", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def _get_exe(package: object) -> object:
    found = attributes(package)
    meta = force(found.get("meta")) if "meta" in found else Set()
    program = force(meta.get("mainProgram")) if isinstance(meta, Set) and "mainProgram" in meta else None
    name = program or force(found.get("pname")) or force(found.get("name"))
    return f"{coercion.interpolated(package)}/bin/{text(name)}"


def _get_exe_named(package: object, name: object) -> object:
    return f"{coercion.interpolated(package)}/bin/{text(name)}"


def _search_path(folder: object, values: object) -> object:
    return ":".join(f"{coercion.interpolated(value)}/{text(folder)}" for value in items(values) if force(value))


def _fixed_width(width: object, filler: object, value: object) -> object:
    missing = integer(width) - len(text(value))
    return text(filler) * max(missing, 0) + text(value)


def _to_int(value: object) -> object:
    found = re.fullmatch(r"\s*(-?[0-9]+)\s*", text(value))
    if not found:
        raise EvaluationError(f"{coercion.show(value)} is not an integer")
    return int(found[1])


def _escape(signs: object, value: object) -> object:
    made = text(value)
    for sign in texts(signs):
        made = made.replace(sign, f"\\{sign}")
    return made


def _to_sentence_case(value: object) -> object:
    word = text(value)
    return word[:1].upper() + word[1:].lower()


def _major(version: object) -> str:
    return ".".join(text(version).split(".")[:1])


VERSIONS: dict[str, Callable[..., object]] = {
    "major": _major,
    "majorMinor": lambda version: ".".join(text(version).split(".")[:2]),
}


FUNCTIONS: dict[str, Callable[..., object]] = {
    "boolToString": lambda value: "true" if boolean(value) else "false",
    "concatImapStringsSep": _imapped_text,
    "concatLines": lambda v: "".join(f"{coercion.interpolated(value)}\n" for value in items(v)),
    "concatMapAttrsStringSep": _mapped_attrs_text,
    "concatMapStrings": lambda mapped, v: _mapped_text("", mapped, v),
    "concatMapStringsSep": _mapped_text,
    "concatStrings": lambda v: builtin_strings.concat_strings_sep("", v),
    "escape": _escape,
    "escapeNixString": lambda v: coercion.show(text(v)),
    "escapeRegex": lambda v: _escape(list("\\[{()^$?*+|."), v),
    "escapeShellArg": shell_argument,
    "escapeShellArgs": lambda v: " ".join(map(shell_argument, items(v))),
    "fixedWidthNumber": lambda width, v: _fixed_width(width, "0", coercion.to_text(v)),
    "fixedWidthString": _fixed_width,
    "getBin": force,
    "getExe": _get_exe,
    "getExe'": _get_exe_named,
    "getLib": force,
    "hasInfix": lambda infix, v: text(infix) in coercion.interpolated(v),
    "hasPrefix": lambda prefix, v: coercion.interpolated(v).startswith(text(prefix)),
    "hasSuffix": lambda suffix, v: coercion.interpolated(v).endswith(text(suffix)),
    "makeBinPath": lambda v: _search_path("bin", v),
    "makeLibraryPath": lambda v: _search_path("lib", v),
    "makeSearchPath": _search_path,
    "removePrefix": lambda prefix, v: text(v).removeprefix(text(prefix)),
    "removeSuffix": lambda suffix, v: text(v).removesuffix(text(suffix)),
    "splitString": _split_string,
    "stringToCharacters": lambda v: list(text(v)),
    "toHexString": lambda v: f"{integer(v):X}",
    "toInt": _to_int,
    "toIntBase10": _to_int,
    "toLower": lambda v: text(v).lower(),
    "toSentenceCase": _to_sentence_case,
    "toUpper": lambda v: text(v).upper(),
    "trim": lambda v: text(v).strip(" \t\r\n"),
    "versionAtLeast": lambda a, b: builtin_strings.compare_versions(a, b) != -1,
    "versionOlder": lambda a, b: builtin_strings.compare_versions(a, b) == -1,
}
