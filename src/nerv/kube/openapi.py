"""OpenAPI v3 documents, one for each group and version: what kubectl explains and validates by, and Helm checks with.

Builtin kinds come from the definitions of `nerv.kube.schemas`, custom resources from their own schema with
`apiVersion`, `kind` and `metadata` added. Documents are made on demand and not kept here: they are large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from nerv.kube.objects import GroupVersionKind
from nerv.kube.resources import Resource, path
from nerv.kube.schemas import definitions

Json = dict[str, Any]

_COMPONENTS: Final = "#/components/schemas/"
_GVK: Final = "x-kubernetes-group-version-kind"
_VERSION: Final = "v1.31.0"
_LIST_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_SERVER_DESCRIPTIONS: Final = {
    "apiVersion": "The version of the schema that this object follows.",
    "kind": "The kind of the object.",
    "metadata": "Name, labels and other data that all objects have.",
    "items": "The objects.",
}


def document(
    group: str, version: str, resources: Iterable[Resource], custom: Mapping[str, Mapping[str, Any] | None]
) -> bytes:
    """The document of one group and version as JSON.

    `resources` are those served there; `custom` maps the kind of each custom resource to its `openAPIV3Schema`.
    """
    served = list(resources)
    schemas: Json = {}
    wanted = [name for gvk, name in definitions.kinds().items() if (gvk.group, gvk.version) == (group, version)]
    for kind, schema in custom.items():
        gvk = GroupVersionKind(group, version, kind)
        name = component_name(gvk)
        schemas[name] = _custom(gvk, schema)
        schemas[f"{name}List"] = _custom_list(gvk, name)
        wanted += [definitions.OBJECT_META, _LIST_META]
    _collect(wanted, schemas)
    return orjson.dumps(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": _VERSION},
            "paths": {
                url: operations
                for resource in served
                for url, operations in _paths(resource, _component_of(resource, custom)).items()
            },
            "components": {"schemas": schemas},
        }
    )


def index(documents: Mapping[str, str]) -> Json:
    """The answer of `/openapi/v3`, from `apis/apps/v1` (or `api/v1`) to the hash of its document."""
    return {
        "paths": {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"} for name, digest in documents.items()
        }
    }


def document_path(group: str, version: str) -> str:
    """The name of a document in the index."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def digest(document: bytes) -> str:
    """The hash by which clients keep a document."""
    return hashlib.sha256(document).hexdigest().upper()


def component_name(gvk: GroupVersionKind) -> str:
    """`io.traefik.v1alpha1.IngressRoute`: the group's domain turned around."""
    return ".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind])


def _component_of(resource: Resource, custom: Mapping[str, Any]) -> str:
    if resource.kind in custom:
        return component_name(resource.gvk)
    return definitions.kinds().get(resource.gvk, "")


def _collect(names: Iterable[str], schemas: Json) -> None:
    """Adds definitions and everything that they refer to."""
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in schemas:
            schemas[name] = _converted(definitions.raw(name), name, queue)


def _converted(raw: Mapping[str, Any], name: str, queue: list[str]) -> Json:
    """From JSON Schema to OpenAPI 3.0: no null types, references beside other keys in `allOf`."""
    if name == _INT_OR_STRING:
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    result: Json = {}
    for key, value in raw.items():
        if key == "type":
            result[key] = next(item for item in value if item != "null") if isinstance(value, list) else value
        elif key == "properties":
            result[key] = {field: _converted(item, "", queue) for field, item in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = _converted(value, "", queue)
        elif key == "oneOf":
            result[key] = [_converted(item, "", queue) for item in value]
        elif key == "$ref" and isinstance(value, str):
            target = value.removeprefix(definitions.PREFIX)
            queue.append(target)
            result["allOf"] = [{"$ref": _COMPONENTS + target}]
        elif key != "enum":  # apiVersion and kind name their only value, which the API server does not
            result[key] = value
    if result.keys() == {"allOf"}:
        return {"$ref": result["allOf"][0]["$ref"]}
    return result


def _text(field: str) -> Json:
    return {"type": "string", "description": _SERVER_DESCRIPTIONS[field]}


def _reference(field: str, name: str) -> Json:
    return {"allOf": [{"$ref": _COMPONENTS + name}], "description": _SERVER_DESCRIPTIONS[field]}


def _gvk(gvk: GroupVersionKind, suffix: str = "") -> list[Json]:
    return [{"group": gvk.group, "version": gvk.version, "kind": gvk.kind + suffix}]


def _custom(gvk: GroupVersionKind, schema: Mapping[str, Any] | None) -> Json:
    raw = dict(schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    properties = dict(raw.get("properties") or {})
    properties |= {"apiVersion": _text("apiVersion"), "kind": _text("kind")}
    properties["metadata"] = _reference("metadata", definitions.OBJECT_META)
    return raw | {"type": "object", "properties": properties, _GVK: _gvk(gvk)}


def _custom_list(gvk: GroupVersionKind, name: str) -> Json:
    items = {"type": "array", "items": {"$ref": _COMPONENTS + name}, "description": _SERVER_DESCRIPTIONS["items"]}
    properties = {"apiVersion": _text("apiVersion"), "kind": _text("kind")}
    properties |= {"metadata": _reference("metadata", _LIST_META), "items": items}
    return {"type": "object", "required": ["items"], "properties": properties, _GVK: _gvk(gvk, "List")}


_WRITES: Final = ("dryRun", "fieldManager", "fieldValidation")
_METHODS: Final = {
    # method -> verb of the resource, whether it names one object, action, query parameters
    "list": ("get", False, "list", ("labelSelector", "fieldSelector", "limit", "continue", "watch")),
    "create": ("post", False, "post", _WRITES),
    "deletecollection": ("delete", False, "deletecollection", ("labelSelector", "fieldSelector", "dryRun")),
    "get": ("get", True, "get", ()),
    "update": ("put", True, "put", _WRITES),
    "patch": ("patch", True, "patch", (*_WRITES, "force")),
    "delete": ("delete", True, "delete", ("dryRun", "gracePeriodSeconds", "propagationPolicy")),
}
_PATCHES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


def _paths(resource: Resource, component: str) -> Json:
    """The operations of a resource: kubectl looks up in them what a server supports for a kind."""
    namespace = "{namespace}" if resource.namespaced else None
    found: Json = {}
    for verb, (method, single, action, parameters) in _METHODS.items():
        if verb in resource.verbs:
            url = path(resource, namespace, "{name}" if single else None)
            found.setdefault(url, _place(single, resource.namespaced))
            found[url][method] = _operation(resource, action, parameters, component)
    for subresource in resource.subresources:
        url = path(resource, namespace, "{name}", subresource.name)
        found[url] = _place(True, resource.namespaced)
        for verb in subresource.verbs:
            method, _, action, parameters = _METHODS[verb]
            found[url][method] = _operation(resource, action, parameters, component)
    return found


def _place(single: bool, namespaced: bool) -> Json:
    names = [*(["name"] if single else []), *(["namespace"] if namespaced else [])]
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    }


def _operation(resource: Resource, action: str, parameters: Iterable[str], component: str) -> Json:
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    schema = {"$ref": _COMPONENTS + component} if component else {}
    operation: Json = {
        "x-kubernetes-action": action,
        _GVK: gvk,
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in parameters],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
    }
    if action == "patch":
        # kubectl sends strategic merge patches only to kinds whose operations list them; custom resources take none
        kinds = _PATCHES if resource.gvk in definitions.kinds() else _PATCHES[:-1]
        operation["requestBody"] = {"content": {kind: {"schema": {"type": "object"}} for kind in kinds}}
    elif action in ("post", "put"):
        operation["requestBody"] = {"content": {"*/*": {"schema": schema}}}
    return operation
