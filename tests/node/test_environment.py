"""The environment of containers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nerv.kube.objects import Object
from nerv.network.informing import Change
from nerv.node import environment
from nerv.node.environment import ConfigError, Sources


class Table:
    """An informer that holds what it is given."""

    def __init__(self, *objects: Object) -> None:
        self.synced = asyncio.Event()
        self._objects = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in objects}

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self._objects.get((namespace or "", name))

    def list(self, namespace: str | None = None) -> list[Object]:
        return [each for each in self._objects.values() if namespace in (None, each["metadata"]["namespace"])]

    def on_change(self, callback: Change) -> Callable[[], None]:
        return lambda: None

    def observe(self, obj: Object) -> None:
        return


def obj(kind: str, name: str, **fields: Any) -> Object:
    return {"kind": kind, "metadata": {"namespace": "shop", "name": name}, **fields}


SERVICE = obj("Service", "web-shop", spec={"clusterIP": "10.43.0.7", "ports": [{"name": "http", "port": 80}]})
MASTER: Object = {
    "kind": "Service",
    "metadata": {"namespace": "default", "name": "kubernetes"},
    "spec": {"clusterIP": "10.43.0.1", "ports": [{"name": "https", "port": 443}]},
}
SOURCES = Sources(
    Table(obj("ConfigMap", "settings", data={"COLOUR": "red", "not a name": "x"})),
    Table(obj("Secret", "keys", data={"TOKEN": "c2VjcmV0"})),
    Table(SERVICE, obj("Service", "db", spec={"clusterIP": "None", "ports": [{"port": 5432}]}), MASTER),
    {"cpu": 4000, "memory": 8 << 30},
)
POD: Object = {
    "metadata": {"namespace": "shop", "name": "p", "uid": "u", "labels": {"app": 'a"b'}},
    "spec": {"nodeName": "n1", "serviceAccountName": "sa"},
    "status": {"podIP": "10.42.0.5", "podIPs": [{"ip": "10.42.0.5"}], "hostIP": "192.168.1.10"},
}


def of(pod: Object = POD, **container: Any) -> Mapping[str, str]:
    return environment.of_container(pod, container, SOURCES)


def test_services_are_named_as_docker_links_were() -> None:
    found = of()
    assert found["WEB_SHOP_SERVICE_HOST"] == "10.43.0.7"
    assert found["WEB_SHOP_SERVICE_PORT_HTTP"] == "80"
    assert found["WEB_SHOP_PORT_80_TCP"] == "tcp://10.43.0.7:80"
    assert found["KUBERNETES_SERVICE_HOST"] == "10.43.0.1"
    assert not [name for name in found if name.startswith("DB_")]


def test_service_links_can_be_switched_off_but_for_the_api() -> None:
    found = of({**POD, "spec": {"enableServiceLinks": False}})
    assert "WEB_SHOP_SERVICE_HOST" not in found
    assert found["KUBERNETES_SERVICE_PORT"] == "443"


def test_later_values_refer_to_earlier_ones() -> None:
    entries = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(COLOUR)-$(NONE)-$$(A)"},
        {"name": "COLOUR", "value": "blue"},
    ]
    found = of(
        envFrom=[{"configMapRef": {"name": "settings"}}, {"prefix": "P_", "secretRef": {"name": "keys"}}], env=entries
    )
    assert found["B"] == "1-red-$(NONE)-$(A)"
    assert found["COLOUR"] == "blue"
    assert found["P_TOKEN"] == "secret"
    assert "not a name" not in found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['app']", 'a"b'),
        ("metadata.labels", 'app="a\\"b"'),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "n1"),
        ("status.podIP", "10.42.0.5"),
        ("status.hostIP", "192.168.1.10"),
    ],
)
def test_fields_of_the_downward_api(path: str, value: str) -> None:
    assert of(env=[{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}])["X"] == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "limits.cpu"}, "4"),
        ({"resource": "requests.memory"}, "0"),
    ],
)
def test_resources_of_the_downward_api(reference: Object, value: str) -> None:
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}
    found = of(resources=resources, env=[{"name": "X", "valueFrom": {"resourceFieldRef": reference}}])
    assert found["X"] == value


def _key(kind: str, name: str, key: str, **more: Any) -> Object:
    return {"env": [{"name": "X", "valueFrom": {kind: {"name": name, "key": key, **more}}}]}


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (_key("secretKeyRef", "none", "a"), 'secret "none" not found'),
        (_key("configMapKeyRef", "settings", "a"), "couldn't find key a in ConfigMap shop/settings"),
        ({"envFrom": [{"configMapRef": {"name": "none"}}]}, 'configmap "none" not found'),
        ({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}, "unsupported fieldPath: spec.x"),
    ],
)
def test_what_is_missing_is_said_as_the_kubelet_says_it(container: Object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of(**container)
    assert caught.value.message == message


def test_what_is_optional_may_be_missing() -> None:
    assert "X" not in of(**_key("secretKeyRef", "none", "a", optional=True))
    assert "X" not in of(**_key("secretKeyRef", "keys", "a", optional=True))
    assert of(envFrom=[{"secretRef": {"name": "none", "optional": True}}])
