"""Structural schemas of custom resources (`openAPIV3Schema` of a CustomResourceDefinition's version)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nerv.kube.schemas import definitions
from nerv.kube.schemas.view import Schema, node

_TEXT = Schema(type="string")


def structural(raw: Mapping[str, Any] | None) -> Schema:
    """The schema of a custom resource's version, with the type of `apiVersion`, `kind` and `metadata` filled in.

    A version without a schema keeps everything (`x-kubernetes-preserve-unknown-fields` at the root of old CRDs).
    """
    root = _build(raw or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    root.properties = root.properties | _object_fields()
    return root


def _build(raw: Mapping[str, Any]) -> Schema:
    made = node(raw, _build, keep_raw=True)
    properties = {name: _build(item) for name, item in (raw.get("properties") or {}).items()}
    if made.embedded:
        properties |= _object_fields()
    if properties:
        made.properties = properties
    if made.untyped and not properties:
        made.open = True
    return made


def _object_fields() -> dict[str, Schema]:
    return {"apiVersion": _TEXT, "kind": _TEXT, "metadata": definitions.definition(definitions.OBJECT_META)}
