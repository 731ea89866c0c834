"""Schemas of the builtin kinds of Kubernetes 1.31, from the definitions that the package kubernetes-validate carries.

Only the folder `FOLDER` of that package is needed; a launcher may delete its siblings. Definitions are read once as
text and turned into `Schema` nodes kind by kind on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import orjson

from nerv.kube.objects import GroupVersionKind
from nerv.kube.schemas.view import ANY, Schema, node

PACKAGE = "kubernetes_validate"
FOLDER = "kubernetes-json-schema/v1.31.0-local"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

PREFIX = "#/$defs/"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_OPEN = ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "io.k8s.apimachinery.pkg.runtime.RawExtension")

# These decide the identity of list items (x-kubernetes-list-map-keys) and are not in the definitions.
_KEY_DEFAULTS = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
}


class _File(msgspec.Struct):
    """The definitions as slices of the file: parsed one by one, so that they cost no more memory than their text."""

    definitions: dict[str, msgspec.Raw] = msgspec.field(name="$defs")


class _Kinds(msgspec.Struct):
    """The part of a definition that says whose schema it is."""

    kinds: list[GroupVersionKind] = msgspec.field(name="x-kubernetes-group-version-kind", default_factory=list)


@cache
def _definitions() -> dict[str, msgspec.Raw]:
    text = files(PACKAGE).joinpath(FOLDER, "_definitions.json").read_bytes()
    return msgspec.json.decode(text, type=_File).definitions


def raw(name: str) -> dict[str, Any]:
    """A definition as it stands in the file, with descriptions. Raises KeyError."""
    found: dict[str, Any] = orjson.loads(memoryview(_definitions()[name]))
    return found


@cache
def kinds() -> Mapping[GroupVersionKind, str]:
    """The definition's name of every kind."""
    found: dict[GroupVersionKind, str] = {}
    decode = msgspec.json.Decoder(_Kinds).decode
    for name, text in _definitions().items():
        entries = decode(text).kinds
        for entry in entries:
            # DeleteOptions and WatchEvent belong to every group: the core group's entry stands for all.
            if len(entries) == 1 or not entry.group:
                found[entry] = name
    return found


_nodes: dict[str, Schema] = {}


def definition(name: str) -> Schema:
    """The schema of a definition, such as `io.k8s.api.core.v1.PodSpec`. Raises KeyError."""
    found = _nodes.get(name)
    if found is not None:
        return found
    if name == _INT_OR_STRING:
        made = Schema(int_or_string=True)
    elif name == _QUANTITY:
        made = Schema(type="string", quantity=True)
    elif name in _OPEN:
        made = Schema(type="object", additional=ANY, open=True)
    else:
        source = raw(name)
        if "type" not in source:
            made = ANY
        else:
            made = node(source, _build, keep_raw=False)
            made.title = name.rpartition(".")[2]
            _nodes[name] = made  # before its fields, because JSONSchemaProps contains itself
            made.properties = {key: _build(item) for key, item in source.get("properties", {}).items()}
            for (owner, key), value in _KEY_DEFAULTS.items():
                if owner == name:
                    made.properties[key].default = value
    _nodes[name] = made
    return made


def _build(source: Mapping[str, Any]) -> Schema:
    reference = source.get("$ref")
    if not isinstance(reference, str):
        made = node(source, _build, keep_raw=False)
        if "properties" in source:
            made.properties = {key: _build(item) for key, item in source["properties"].items()}
        return made
    name = reference.removeprefix(PREFIX)
    extensions = {key: value for key, value in source.items() if key.startswith("x-kubernetes-")}
    if not extensions:
        return definition(name)
    made = _build(raw(name) | extensions)
    made.title = name.rpartition(".")[2]
    return made


def builtin(gvk: GroupVersionKind) -> Schema | None:
    """The schema of a builtin kind, or None for one that Kubernetes 1.31 does not have."""
    name = kinds().get(gvk)
    return definition(name) if name else None
