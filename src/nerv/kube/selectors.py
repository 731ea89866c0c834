"""Label and field selectors: their text form, their object form, and whether they match.

The text grammar is that of `kubectl -l` and `--field-selector`; both forms of a label selector become requirements
that are all to hold. Errors are ValueError with the API server's wording, for a 400 answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<operator>==|=|!=|<|>)\s*(?P<value>[^\s=!<>]*)$")
_NAME = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)$")
_PREFIX = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


@dataclass(frozen=True)
class Requirement:
    """One condition on one label. `operator` is in, notin, exists, !, > or <."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """`notin` and `!` hold for a label that is missing; all others need it."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        if value is None or not re.fullmatch(r"-?\d+", value):
            return False
        return int(value) > int(self.values[0]) if self.operator == ">" else int(value) < int(self.values[0])

    @property
    def text(self) -> str:
        """The form that `kubectl -l` takes."""
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in "<>":
            return f"{self.key}{self.operator}{self.values[0]}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True)
class LabelSelector:
    """All requirements must hold; none at all matches everything. `nothing` is the selector that matches no object
    (a null selector in the API)."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy the selector."""
        return not self.nothing and all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it matches everything."""
        return not self.requirements and not self.nothing

    @property
    def text(self) -> str:
        """The form that `kubectl -l` takes; empty for the selector of everything."""
        return ",".join(requirement.text for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def parse_label(text: str) -> LabelSelector:
    """`app=web,tier in (a,b),!canary,env`. Raises ValueError."""
    return _parse_label(text.strip())


@lru_cache(maxsize=512)
def _parse_label(text: str) -> LabelSelector:
    return LabelSelector(tuple(_requirement(part, text) for part in _split(text)))


def _split(text: str) -> list[str]:
    """At the commas that stand outside of parentheses."""
    parts: list[str] = []
    depth = 0
    start = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return [part.strip() for part in parts] if text else []


def _requirement(part: str, text: str) -> Requirement:
    if match := _SET.match(part):
        values = tuple(value.strip() for value in match["values"].split(","))
        return _checked(Requirement(match["key"], match["operator"], values), text)
    if match := _EQUAL.match(part):
        operator = {"=": "in", "==": "in", "!=": "notin"}.get(match["operator"], match["operator"])
        return _checked(Requirement(match["key"], operator, (match["value"],)), text)
    if part.startswith("!"):
        return _checked(Requirement(part[1:].strip(), "!"), text)
    if re.search(r"\s(in|notin)$", part):
        raise ValueError("unable to parse requirement: found '' expected: '('")
    return _checked(Requirement(part, "exists"), text)


def _checked(requirement: Requirement, text: str) -> Requirement:
    prefix, slash, name = requirement.key.rpartition("/")
    if not _NAME.match(name) or (slash and not _PREFIX.match(prefix)):
        raise ValueError(f"unable to parse requirement: invalid label key {requirement.key!r} in selector {text!r}")
    if requirement.operator in ("<", ">"):
        if not re.fullmatch(r"-?\d+", requirement.values[0]):
            raise ValueError(
                f"unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer in {text!r}"
            )
    elif any(value and not _NAME.match(value) for value in requirement.values):
        raise ValueError(f"unable to parse requirement: invalid label value in selector {text!r}")
    return requirement


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """From `{matchLabels, matchExpressions}`; null matches nothing, empty matches everything. Raises ValueError."""
    if selector is None:
        return NOTHING
    requirements = [Requirement(key, "in", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise ValueError(f"{expression.get('operator')!r} is not a valid label selector operator")
        requirements.append(Requirement(expression["key"], operator, tuple(expression.get("values") or ())))
    return LabelSelector(tuple(requirements))


def from_labels(labels: Mapping[str, str] | None) -> LabelSelector:
    """From the plain map of a Service or ReplicationController; an empty or missing map selects nothing there."""
    if not labels:
        return NOTHING
    return LabelSelector(tuple(Requirement(key, "in", (value,)) for key, value in labels.items()))


@dataclass(frozen=True)
class FieldTerm:
    """`path` must equal the value, or differ from it."""

    path: str
    value: str
    equal: bool = True


@dataclass(frozen=True)
class FieldSelector:
    """All terms must hold."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Compares by the text form of the field; a missing field is the empty string."""
        return all((field_text(obj, term.path) == term.value) == term.equal for term in self.terms)

    def exact(self, path: str) -> str | None:
        """The value that `path` must have, if the selector demands one."""
        return next((term.value for term in self.terms if term.path == path and term.equal), None)


def parse_field(text: str) -> FieldSelector:
    """`metadata.name=web,status.phase!=Running`; a backslash escapes `,`, `=` and itself. Raises ValueError."""
    terms: list[FieldTerm] = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = re.match(r"^([^=!]+?)(==|!=|=)(.*)$", part, re.DOTALL)
        if not match:
            raise ValueError(f"invalid field selector term: {part!r}; can't understand it")
        value = re.sub(r"\\([\\,=])", r"\1", match[3])
        term = FieldTerm(match[1].strip(), value, match[2] != "!=")
        if term not in terms:
            terms.append(term)
    return FieldSelector(tuple(terms))


def field_text(obj: Mapping[str, Any], path: str) -> str:
    """The field at a dotted path as text, as a selector compares it (`true`, `5`, an empty string if missing)."""
    value: Any = obj
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return ""
        value = value.get(part)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
