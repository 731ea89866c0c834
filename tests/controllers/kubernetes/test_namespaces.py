"""What every namespace gets, and how one ends."""

from __future__ import annotations

from tests.support.controllers import World, workload

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    Resource,
)

WIDGETS = Resource("example.com", "v1", "widgets", "Widget")


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name: str, **metadata: object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def definition() -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


async def test_every_namespace_has_an_account_and_the_root_ca(world: World) -> None:
    await world.create(NAMESPACES, namespace("blue"))
    await world.wait(SERVICE_ACCOUNTS, "default", lambda obj: True, "blue")
    published = await world.wait(CONFIG_MAPS, "kube-root-ca.crt", lambda obj: True, "blue")
    assert published["data"] == {"ca.crt": "the CA"}
    await world.client.patch(CONFIG_MAPS, "kube-root-ca.crt", "blue", {"data": {"ca.crt": "another"}})
    await world.wait(CONFIG_MAPS, "kube-root-ca.crt", lambda obj: obj["data"]["ca.crt"] == "another", "blue")
    await world.wait(CONFIG_MAPS, "kube-root-ca.crt", lambda obj: obj["data"]["ca.crt"] == "the CA", "blue")
    await world.client.delete(SERVICE_ACCOUNTS, "default", "kube-system")
    await world.wait(SERVICE_ACCOUNTS, "default", lambda obj: True, "kube-system")


async def test_deleting_a_namespace_takes_everything_in_it(world: World) -> None:
    await world.create(CUSTOM_RESOURCE_DEFINITIONS, definition())
    await world.create(NAMESPACES, namespace("blue"))
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=2), "blue")
    await world.wait(DEPLOYMENTS, "web", lambda obj: obj.get("status", {}).get("readyReplicas") == 2, "blue")
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    await world.create(WIDGETS, widget, "blue")
    await world.wait(WIDGETS, "w", lambda obj: True, "blue")
    await world.client.delete(NAMESPACES, "blue")
    await world.gone(NAMESPACES, "blue")
    for resource in (DEPLOYMENTS, PODS, WIDGETS, CONFIG_MAPS, SERVICE_ACCOUNTS):
        assert (await world.client.list(resource, "blue")).items == []


async def test_a_finalizer_holds_the_namespace_and_is_told(world: World) -> None:
    await world.create(NAMESPACES, namespace("blue"))
    await world.create(CONFIG_MAPS, config_map("held", finalizers=["example.com/hold"]), "blue")
    await world.client.delete(NAMESPACES, "blue")
    held = await world.wait(NAMESPACES, "blue", lambda obj: objects.is_true(obj, "NamespaceFinalizersRemaining"))
    assert held["status"]["phase"] == "Terminating"
    assert objects.condition(held, "NamespaceFinalizersRemaining")["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    assert objects.condition(held, "NamespaceContentRemaining")["message"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    assert objects.condition(held, "NamespaceDeletionContentFailure")["status"] == "False"
    await world.client.patch(CONFIG_MAPS, "held", "blue", {"metadata": {"finalizers": None}})
    await world.gone(NAMESPACES, "blue")
