"""Variable substitution after the build (`spec.postBuild`): bash-like expressions in the text of an object. Pure.

${var}                      the value, empty when undefined          $${var}   a literal ${var}; a bare $var stays
${var:=word} ${var:-word}   `word` when undefined or empty           ${#var}   the length
${var:offset:length}        a part; a negative offset counts from the end
${var/old/new}  //  /#  /%  replace the first, all, at the start, at the end
${var#glob}  ##  %  %%      cut the shortest or longest match off the start or the end
${var^}  ^^  ,  ,,          upper or lower case, first letter or all
"""

from __future__ import annotations

import base64
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nerv import documents
from nerv.builders.kustomize.errors import BuildError
from nerv.kube import objects
from nerv.kube.objects import Object

SWITCH = "kustomize.toolkit.fluxcd.io/substitute"
_NAME_RULE = "^[_[:alpha:]][_[:alpha:][:digit:]]*$"
_NAME = re.compile(r"^[_A-Za-z][_A-Za-z0-9]*$")
_IDENTIFIER = re.compile(r"\w+")
_DEFAULTS = (":=", ":-", ":?", ":+", "=")
_REPLACE = ("//", "/#", "/%", "/")
_CUT = ("##", "%%", "#", "%")
_CASE = ("^^", ",,", "^", ",")
_INTEGER = re.compile(r"^[+-]?\d+$")


def variables(sources: Sequence[Mapping[str, str]], inline: Mapping[str, str]) -> dict[str, str]:
    """All variables: later sources win over earlier ones, inline ones over all; line ends are left out of values.

    Raises BuildError for a name that is none.
    """
    merged = {name: value.replace("\n", "") for source in (*sources, inline) for name, value in source.items()}
    for name in merged:
        if not _NAME.match(name):
            raise BuildError(
                f"envsubst error: variable substitution failed: '{name}' var name is invalid, must match '{_NAME_RULE}'"
            )
    return merged


def substitute(obj: Object, values: Mapping[str, str]) -> Object:
    """The object with its expressions replaced; itself where it opts out or nothing is to be replaced.

    The text that is looked at is the object's YAML, which is read again afterwards: an expression that stands for a
    number becomes one. Raises BuildError.
    """
    if "disabled" in (objects.labels(obj).get(SWITCH), objects.annotations(obj).get(SWITCH)):
        return obj
    text = documents.dump(obj)
    if "$" not in text:
        return obj
    replaced = expand(text, values)
    try:
        result = documents.load(replaced)
    except documents.DocumentError as error:
        raise BuildError(f"envsubst error: YAMLToJSON: yaml: {error}") from None
    if not isinstance(result, dict):
        raise BuildError("envsubst error: UnmarshalJSON: the result is no object")
    return result


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with every expression replaced. Raises BuildError."""
    result, end = _Reader(text, values).plain()
    if end != len(text):
        raise _bad("bad substitution")
    return result


def _bad(why: str) -> BuildError:
    return BuildError(f"envsubst error: variable substitution failed: {why}")


class _Reader:
    """One pass over a text; every method returns what it made and where it stopped."""

    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        self._text = text
        self._values = values

    def plain(self) -> tuple[str, int]:
        """Text outside of expressions."""
        parts = []
        at = 0
        while (found := self._text.find("$", at)) >= 0:
            parts.append(self._text[at:found])
            following = self._text[found + 1 : found + 2]
            if following == "$":
                parts.append("$")
                at = found + 2
            elif following == "{":
                value, at = self._expression(found + 2)
                parts.append(value)
            else:
                parts.append("$")
                at = found + 1
        parts.append(self._text[at:])
        return "".join(parts), len(self._text)

    def _expression(self, at: int) -> tuple[str, int]:
        """What stands between `${` and `}`; `at` is behind the opening brace."""
        if self._text.startswith("#", at):
            name, at = self._name(at + 1)
            return str(len(self._values.get(name, "").encode())), self._close(at, "bad substitution")
        name, at = self._name(at)
        value = self._values.get(name, "")
        for operators, read in (
            (_DEFAULTS, self._default),
            ((":",), self._part),
            (_CASE, self._case),
            (_REPLACE, self._replace),
            (_CUT, self._cut),
        ):
            operator = self._operator(operators, at)
            if operator:
                return read(value, operator, at + len(operator))
        return value, self._close(at, "missing closing brace")

    def _name(self, at: int) -> tuple[str, int]:
        match = _IDENTIFIER.match(self._text, at)
        if not match:
            raise _bad("unable to parse variable name")
        return match.group(), match.end()

    def _operator(self, operators: Sequence[str], at: int) -> str:
        return next((operator for operator in operators if self._text.startswith(operator, at)), "")

    def _close(self, at: int, why: str) -> int:
        if not self._text.startswith("}", at):
            raise _bad(why)
        return at + 1

    def _word(self, at: int, ends: str) -> tuple[str, int]:
        """A parameter, with expressions in it replaced, up to one of `ends`; a backslash keeps `/` and itself."""
        parts = []
        while at < len(self._text) and self._text[at] not in ends:
            if self._text.startswith("${", at):
                value, at = self._expression(at + 2)
                parts.append(value)
            elif "/" in ends and self._text.startswith(("\\/", "\\\\"), at):
                parts.append(self._text[at + 1])
                at += 2
            else:
                parts.append(self._text[at])
                at += 1
        return "".join(parts), at

    def _default(self, value: str, operator: str, at: int) -> tuple[str, int]:
        word, at = self._word(at, "}")
        return value or word, self._close(at, "unable to parse substitution within function")

    def _part(self, value: str, operator: str, at: int) -> tuple[str, int]:
        offset, at = self._word(at, ":}")
        if self._text.startswith("}", at):
            return _part(value, offset, None), at + 1
        length, at = self._word(at + 1, "}")
        return _part(value, offset, length), self._close(at, "bad substitution")

    def _case(self, value: str, operator: str, at: int) -> tuple[str, int]:
        change: Callable[[str], str] = str.upper if operator[0] == "^" else str.lower
        result = change(value) if len(operator) == 2 else change(value[:1]) + value[1:]
        return result, self._close(at, "bad substitution")

    def _replace(self, value: str, operator: str, at: int) -> tuple[str, int]:
        old, at = self._word(at, "/}")
        if not self._text.startswith("/", at):
            raise _bad("bad substitution")
        new, at = self._word(at + 1, "}")
        return _replaced(value, operator, old, new), self._close(at, "bad substitution")

    def _cut(self, value: str, operator: str, at: int) -> tuple[str, int]:
        glob, at = self._word(at, "}")
        return _cut(value, operator, glob), self._close(at, "bad substitution")


def _part(value: str, offset: str, length: str | None) -> str:
    # bash gives the whole value where a number cannot be read
    if not _INTEGER.match(offset) or (length is not None and not _INTEGER.match(length)):
        return value
    start = int(offset)
    if start < 0:
        start = max(len(value) + start, 0)
    return value[start:] if length is None else value[start : max(start + int(length), start)]


def _replaced(value: str, operator: str, old: str, new: str) -> str:
    match operator:
        case "//":
            return value.replace(old, new)
        case "/#":
            return new + value[len(old) :] if value.startswith(old) else value
        case "/%":
            return value[: len(value) - len(old)] + new if value.endswith(old) else value
    return value.replace(old, new, 1)


def _cut(value: str, operator: str, glob: str) -> str:
    sizes: Sequence[int] = range(1, len(value) + 1)
    if len(operator) == 2:
        sizes = list(reversed(sizes))
    matches = re.compile(fnmatch.translate(glob)).match
    for size in sizes:
        if operator[0] == "#" and matches(value[:size]):
            return value[size:]
        if operator[0] == "%" and matches(value[-size:]):
            return value[:-size]
    return value


def from_data(obj: Object) -> dict[str, str]:
    """The variables that a ConfigMap or a Secret holds."""
    data: Mapping[str, Any] = obj.get("data") or {}
    if obj.get("kind") == "Secret":
        return {name: _decoded(value) for name, value in data.items()}
    return {name: str(value) for name, value in data.items()}


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode("utf-8", "replace")
