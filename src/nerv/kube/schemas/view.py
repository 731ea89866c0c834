"""One view of a schema for builtin kinds and custom resources: what a field is and how it merges.

Extensions and their meaning: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy and
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MISSING: Final = object()
_NO_PROPERTIES: Final[dict[str, Schema]] = {}
_NO_RAW: Final[Mapping[str, Any]] = {}


@dataclass(eq=False, slots=True)
class Schema:
    """A node. `type` is object, array, string, integer, number, boolean, or empty for anything."""

    type: str = ""
    properties: dict[str, Schema] = field(default_factory=lambda: _NO_PROPERTIES)
    items: Schema | None = None
    additional: Schema | None = None
    """The values of a map."""
    open: bool = False
    """Unknown fields are kept (x-kubernetes-preserve-unknown-fields, or an untyped field)."""
    embedded: bool = False
    """A whole object with apiVersion, kind and metadata (x-kubernetes-embedded-resource)."""
    int_or_string: bool = False
    quantity: bool = False
    nullable: bool = False
    list_type: str = "atomic"
    """atomic, set or map."""
    keys: tuple[str, ...] = ()
    """The fields that identify an item of a list of type map."""
    atomic: bool = False
    """An object that is owned and replaced as a whole."""
    merge_key: str = ""
    """The field that identifies items in a strategic merge patch."""
    strategies: tuple[str, ...] = ()
    """Of a strategic merge patch: merge, retainKeys, replace."""
    required: tuple[str, ...] = ()
    format: str = ""
    title: str = ""
    """Name of a builtin type, such as DeploymentSpec."""
    default: Any = MISSING
    raw: Mapping[str, Any] = field(default_factory=lambda: _NO_RAW)
    """The source of a structural schema with its constraints; empty for builtin kinds."""

    @property
    def untyped(self) -> bool:
        """Whether any value fits, so that its own shape says how it merges."""
        return not self.type and not self.int_or_string

    def field(self, name: str) -> Schema | None:
        """The schema of a field of an object: a named one, the values of a map, or anything in an open object."""
        found = self.properties.get(name)
        if found is not None:
            return found
        if self.additional is not None:
            return self.additional
        return ANY if self.open or self.untyped else None


ANY: Final = Schema(open=True, nullable=True)


def node(raw: Mapping[str, Any], build: Callable[[Mapping[str, Any]], Schema], keep_raw: bool) -> Schema:
    """A node without its properties, from OpenAPI with Kubernetes' extensions. `build` makes its children."""
    types = raw.get("type", "")
    kind = next((item for item in types if item != "null"), "") if isinstance(types, list) else types
    strategies = tuple(part for part in raw.get("x-kubernetes-patch-strategy", "").split(",") if part)
    merge_key = raw.get("x-kubernetes-patch-merge-key", "")
    list_type, keys = _list_type(raw, strategies, merge_key)
    additional = raw.get("additionalProperties")
    return Schema(
        type="" if raw.get("x-kubernetes-int-or-string") else kind,
        items=build(raw["items"]) if isinstance(raw.get("items"), Mapping) else None,
        additional=build(additional) if isinstance(additional, Mapping) else ANY if additional is True else None,
        open=bool(raw.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(raw.get("x-kubernetes-embedded-resource")),
        int_or_string=bool(raw.get("x-kubernetes-int-or-string")),
        nullable=bool(raw.get("nullable")),
        list_type=list_type,
        keys=keys,
        atomic=raw.get("x-kubernetes-map-type") == "atomic",
        merge_key=merge_key,
        strategies=strategies,
        required=tuple(raw.get("required", ())),
        format=raw.get("format", ""),
        default=raw.get("default", MISSING),
        raw=raw if keep_raw else _NO_RAW,
    )


def _list_type(raw: Mapping[str, Any], strategies: tuple[str, ...], merge_key: str) -> tuple[str, tuple[str, ...]]:
    """A list without a type of its own takes that of its patch strategy (older kinds carry that alone)."""
    declared = raw.get("x-kubernetes-list-type")
    if declared:
        return declared, tuple(raw.get("x-kubernetes-list-map-keys", ()))
    if "merge" in strategies:
        return ("map", (merge_key,)) if merge_key else ("set", ())
    return "atomic", ()
