"""Protobuf bodies: hand-built envelopes, and those that the real kubectl sends."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.kube import protobuf
from nerv.kube.schemas import definitions


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def envelope(api_version: str, kind: str, message: bytes) -> bytes:
    meta = field(1, api_version) + field(2, kind)
    return b"k8s\0" + field(1, meta) + field(2, message) + field(3, "") + field(4, "")


def entry(key: str, value: str | bytes) -> bytes:
    return field(1, key) + field(2, value)


METADATA = field(1, field(1, "web") + field(3, "") + field(8, b"") + field(11, entry("app", "web")))


def test_pointers_keep_their_zero_and_other_empty_fields_go() -> None:
    spec = field(1, 0) + field(3, b"") + field(4, b"") + field(5, 0) + field(7, 0)
    body = envelope("apps/v1", "Deployment", METADATA + field(2, spec) + field(3, b""))
    assert protobuf.decode(body) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 0},
    }


def test_managed_fields_come_back_as_they_were_read() -> None:
    """Clients such as Traefik send the whole object with a new status, so what manages its fields as well."""
    managed = field(1, "kubectl") + field(2, "Update") + field(3, "networking.k8s.io/v1") + field(6, "FieldsV1")
    managed += field(4, field(1, 1735689600)) + field(7, field(1, '{"f:spec":{}}')) + field(8, "status")
    metadata = field(1, field(1, "web") + field(17, managed))
    assert protobuf.decode(envelope("networking.k8s.io/v1", "Ingress", metadata))["metadata"]["managedFields"] == [
        {
            "manager": "kubectl",
            "operation": "Update",
            "apiVersion": "networking.k8s.io/v1",
            "time": "2025-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {}},
            "subresource": "status",
        }
    ]


def _definition(message: str) -> dict[str, Any]:
    """The OpenAPI definition of a message, without properties where there is none under its name."""
    for prefix in ("io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s.apiextensions-apiserver.pkg.apis."):
        try:
            return definitions.raw(prefix + message)
        except KeyError:
            continue
    return {}


@pytest.mark.parametrize("message", sorted(protobuf._messages()))
def test_the_table_says_what_the_openapi_definitions_say(message: str) -> None:
    properties = _definition(message).get("properties", {})
    scalars = {"string": "string", "int32": "integer", "int64": "integer", "bool": "boolean", "bytes": "string"}
    for name, kind, flags in protobuf._messages()[message].values():
        assert kind in scalars or kind in protobuf._messages() or kind in protobuf._SPECIAL
        if name not in properties:
            continue
        types = properties[name].get("type", "reference")
        found = types if isinstance(types, str) else types[0]
        if flags & protobuf._LIST:
            assert found == "array", name
        elif flags & protobuf._MAP:
            assert "additionalProperties" in properties[name], name
        elif kind in scalars:
            assert found == scalars[kind], name


def test_volume_source_is_inlined_and_an_empty_dir_survives() -> None:
    volume = field(1, "v") + field(2, field(2, field(1, "")))
    config = field(1, "c") + field(2, field(19, field(1, field(1, "cm")) + field(3, 420)))
    body = envelope("v1", "Pod", METADATA + field(2, field(1, volume) + field(1, config)))
    assert protobuf.decode(body)["spec"]["volumes"] == [
        {"name": "v", "emptyDir": {}},
        {"name": "c", "configMap": {"name": "cm", "defaultMode": 420}},
    ]


def test_numbers_or_names_quantities_and_probes() -> None:
    port = field(1, 0) + field(2, 8080) + field(3, "")
    named = field(1, 1) + field(2, 0) + field(3, "http")
    limits = field(1, entry("cpu", field(1, "500m")))
    probe = field(1, field(2, field(1, "/") + field(2, named) + field(3, "") + field(4, ""))) + field(2, 0)
    container = field(1, "c") + field(8, limits) + field(11, probe)
    pod = protobuf.decode(envelope("v1", "Pod", field(2, field(2, container))))
    assert pod["spec"]["containers"] == [
        {
            "name": "c",
            "resources": {"limits": {"cpu": "500m"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
        }
    ]
    service = protobuf.decode(envelope("v1", "Service", field(2, field(1, field(3, 80) + field(4, port)))))
    assert service["spec"]["ports"] == [{"port": 80, "targetPort": 8080}]


def test_secret_data_becomes_base64_and_times_text() -> None:
    meta = field(1, field(1, "s") + field(8, field(1, 1751371200)))
    secret = meta + field(2, entry("k", b"\x00\xff")) + field(3, "Opaque")
    assert protobuf.decode(envelope("v1", "Secret", secret)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "creationTimestamp": "2025-07-01T12:00:00Z"},
        "data": {"k": base64.b64encode(b"\x00\xff").decode()},
        "type": "Opaque",
    }


def test_delete_options_belong_to_every_group() -> None:
    options = field(1, 0) + field(4, "Background")
    assert protobuf.decode(envelope("apps/v1", "DeleteOptions", options)) == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
    }


def test_negative_numbers_and_newer_fields() -> None:
    body = envelope("scheduling.k8s.io/v1", "PriorityClass", METADATA + field(2, -5) + field(99, "new"))
    assert protobuf.decode(body)["value"] == -5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "does not appear to be a protobuf message"),
        (envelope("example.com/v1", "Widget", b""), 'no kind "Widget" is registered for version "example.com/v1"'),
        (envelope("v1", "Pod", METADATA)[:-20], "damaged"),
        (envelope("v1", "Pod", b"\x0f"), "damaged"),
    ],
)
def test_bad_bodies(body: bytes, message: str) -> None:
    with pytest.raises(protobuf.ProtobufError, match=message):
        protobuf.decode(body)


@given(st.binary(max_size=80))
def test_noise_is_refused_or_read_but_never_crashes(noise: bytes) -> None:
    for body in (b"k8s\0" + noise, envelope("v1", "Pod", noise)):
        try:
            assert isinstance(protobuf.decode(body), dict)
        except protobuf.ProtobufError:
            continue


async def test_kubectl_creates_a_deployment(kubectl: Any, discovery: dict[str, Any]) -> None:
    arguments = ("create", "deployment", "web", "--image=nginx:1.27", "--replicas=0", "--port=80", "--validate=false")
    obj = protobuf.decode((await kubectl(discovery, *arguments)).bodies[0])
    assert obj["metadata"] == {"name": "web", "labels": {"app": "web"}}
    assert obj["spec"]["replicas"] == 0
    assert obj["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert obj["spec"]["template"] == {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "nginx", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}]},
    }


async def test_kubectl_creates_a_secret(kubectl: Any, discovery: dict[str, Any]) -> None:
    answer = await kubectl(discovery, "create", "secret", "generic", "s", "--from-literal=a=b", "--validate=false")
    assert protobuf.decode(answer.bodies[0]) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"a": "Yg=="},
    }
