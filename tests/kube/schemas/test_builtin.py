"""Schemas of builtin kinds: merge rules, unknown fields, types, the canonical form."""

from typing import Any

import pytest

from nerv.kube import resources, schemas
from nerv.kube.objects import GroupVersionKind, clone


def schema(api_version: str, kind: str) -> schemas.Schema:
    found = schemas.builtin(GroupVersionKind.parse(api_version, kind))
    assert found is not None
    return found


DEPLOYMENT = schema("apps/v1", "Deployment")


def at(root: schemas.Schema, path: str) -> schemas.Schema:
    for name in path.split("."):
        found = root.field(name)
        assert found is not None, path
        root = found.items if found.items is not None and found.type == "array" else found
    return root


def test_every_served_kind_has_a_schema() -> None:
    for resource in resources.BUILTIN:
        assert schemas.builtin(resource.gvk) is not None, resource
    assert schemas.builtin(GroupVersionKind("example.com", "v1", "Widget")) is None


def test_merge_rules_of_lists() -> None:
    spec = DEPLOYMENT.properties["spec"].properties["template"].properties["spec"]
    containers = spec.properties["containers"]
    assert (containers.list_type, containers.keys, containers.merge_key) == ("map", ("name",), "name")
    ports = at(spec, "containers").properties["ports"]
    assert (ports.keys, ports.merge_key) == (("containerPort", "protocol"), "containerPort")
    assert at(spec, "containers.ports").properties["protocol"].default == "TCP"
    assert at(spec, "containers").properties["args"].list_type == "atomic"
    assert at(DEPLOYMENT, "metadata").properties["finalizers"].list_type == "set"


def test_merge_rules_of_maps() -> None:
    assert at(DEPLOYMENT, "spec.selector").atomic
    assert at(DEPLOYMENT, "spec.strategy").strategies == ("retainKeys",)
    assert not schema("v1", "PersistentVolume").properties["spec"].properties["claimRef"].atomic


def test_a_schema_may_contain_itself() -> None:
    props = at(schema("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "spec.versions.schema.openAPIV3Schema")
    assert props.properties["properties"].additional is props
    assert "$ref" in props.properties


DEMO: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "surprise": 1, "labels": {"any": "thing"}},
    "spec": {
        "replicas": None,
        "template": {"spec": {"containers": [{"name": "c", "imagee": "x", "resources": {"limits": {"cpu": "0.5"}}}]}},
    },
}


def test_unknown_fields_are_named_and_pruned() -> None:
    obj = clone(DEMO)
    assert schemas.unknown_fields(obj, DEPLOYMENT) == [
        'unknown field "metadata.surprise"',
        'unknown field "spec.template.spec.containers[0].imagee"',
    ]
    assert obj == DEMO
    schemas.prune(obj, DEPLOYMENT)
    assert "surprise" not in obj["metadata"]
    assert obj["metadata"]["labels"] == {"any": "thing"}
    assert schemas.unknown_fields(obj, DEPLOYMENT) == []


def test_normal_form_has_no_nulls_and_canonical_quantities() -> None:
    obj = schemas.normalise(clone(DEMO), DEPLOYMENT)
    assert "replicas" not in obj["spec"]
    assert obj["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}}
    obj["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "much"
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        schemas.normalise(obj, DEPLOYMENT)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"replicas": "3"},
            "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"replicas": True},
            "cannot unmarshal bool into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"replicas": {}},
            "cannot unmarshal object into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"template": []},
            "cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type object",
        ),
        ({"paused": 1}, "cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool"),
        ({"template": {"spec": {"containers": {}}}}, "cannot unmarshal object into Go struct field"),
    ],
)
def test_wrong_types(spec: dict[str, Any], message: str) -> None:
    found = schemas.type_error({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}, DEPLOYMENT)
    assert found.startswith('Deployment in version "v1" cannot be handled as a Deployment: ')
    assert message in found


def test_numbers_or_names_and_quantities_take_both() -> None:
    service = schema("v1", "Service")
    for target in (80, "http"):
        assert (
            schemas.type_error({"kind": "Service", "spec": {"ports": [{"port": 1, "targetPort": target}]}}, service)
            == ""
        )
    assert schemas.type_error(clone(DEMO), DEPLOYMENT) == ""


def test_duplicate_fields() -> None:
    text = '{"a":{"b":1,"b":2},"c":[{"d":1,"d":2,"d":3}],"e":1}'
    assert schemas.duplicate_fields(text) == ['duplicate field "a.b"', 'duplicate field "c[0].d"']
    assert schemas.duplicate_fields(b'{"a":1}') == []
