"""OpenAPI v3 documents."""

from typing import Any

import orjson
import pytest

from nerv.kube import openapi, resources
from nerv.kube.resources import Resource

Json = dict[str, Any]
WIDGETS = Resource("example.com", "v1", "widgets", "Widget", singular="widget")


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


def document(group: str, version: str, custom: Json | None = None, *extra: Resource) -> Json:
    served = [item for item in resources.BUILTIN if (item.group, item.version) == (group, version)]
    found: Json = orjson.loads(openapi.document(group, version, [*served, *extra], custom or {}))
    return found


@pytest.mark.parametrize("group", sorted({(item.group, item.version) for item in resources.BUILTIN}))
def test_documents_are_closed_and_know_every_kind(group: tuple[str, str]) -> None:
    found = document(*group)
    schemas = found["components"]["schemas"]
    assert {f"#/components/schemas/{name}" for name in schemas} >= references(found)
    kinds = {
        (entry["group"], entry["version"], entry["kind"])
        for schema in schemas.values()
        for entry in schema.get("x-kubernetes-group-version-kind", [])
    }
    for resource in resources.BUILTIN:
        if (resource.group, resource.version) == group:
            assert (resource.group, resource.version, resource.kind) in kinds


def test_patch_says_what_it_supports() -> None:
    found = document("apps", "v1")
    patch = found["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    names = {parameter["name"] for parameter in patch["parameters"]}
    assert names >= {"dryRun", "fieldValidation", "fieldManager", "force"}
    assert "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale" in found["paths"]


def test_schemas_are_openapi_not_json_schema() -> None:
    schemas = document("", "v1")["components"]["schemas"]
    port = schemas["io.k8s.api.core.v1.ServicePort"]
    assert port["properties"]["port"]["type"] == "integer"
    assert port["properties"]["name"]["type"] == "string"
    assert port["properties"]["targetPort"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString"}
    ]
    assert port["properties"]["targetPort"]["description"]
    assert "enum" not in schemas["io.k8s.api.core.v1.Secret"]["properties"]["kind"]
    assert schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]["x-kubernetes-patch-merge-key"] == "name"


def test_custom_resources_keep_their_descriptions_and_get_metadata() -> None:
    schema = {
        "type": "object",
        "description": "A widget.",
        "properties": {"spec": {"type": "object", "description": "Wish."}},
    }
    found = document("example.com", "v1", {"Widget": schema}, WIDGETS)
    widget = found["components"]["schemas"]["com.example.v1.Widget"]
    assert widget["description"] == "A widget."
    assert widget["properties"]["spec"]["description"] == "Wish."
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    assert widget["properties"]["metadata"]["allOf"][0]["$ref"].endswith(".ObjectMeta")
    assert "com.example.v1.WidgetList" in found["components"]["schemas"]
    assert {f"#/components/schemas/{name}" for name in found["components"]["schemas"]} >= references(found)
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}" in found["paths"]


def test_index() -> None:
    assert openapi.document_path("", "v1") == "api/v1"
    assert openapi.index({openapi.document_path("apps", "v1"): openapi.digest(b"x")}) == {
        "paths": {"apis/apps/v1": {"serverRelativeURL": f"/openapi/v3/apis/apps/v1?hash={openapi.digest(b'x')}"}}
    }
    assert openapi.digest(b"x") != openapi.digest(b"y")


async def test_kubectl_explains_builtin_and_custom_kinds(kubectl: Any, discovery: dict[str, Any]) -> None:
    spec = {"type": "object", "description": "What is wished.", "properties": {"size": {"type": "integer"}}}
    schema = {"type": "object", "description": "A widget.", "properties": {"spec": spec}}
    documents = {
        "apis/apps/v1": openapi.document("apps", "v1", [resources.DEPLOYMENTS], {}),
        "apis/example.com/v1": openapi.document("example.com", "v1", [WIDGETS], {"Widget": schema}),
    }
    answers = discovery | {f"/openapi/v3/{name}": text for name, text in documents.items()}
    answers["/openapi/v3"] = openapi.index({name: openapi.digest(text) for name, text in documents.items()})
    builtin = await kubectl(answers, "explain", "deployment.spec.template.spec.containers")
    assert "KIND:       Deployment" in builtin.output, builtin.errors
    assert "imagePullPolicy\t<string>" in builtin.output
    assert "FIELD: containers <[]Container>" in builtin.output
    custom = await kubectl(answers, "explain", "widget.spec")
    assert "What is wished." in custom.output, custom.errors
    assert "size\t<integer>" in custom.output
