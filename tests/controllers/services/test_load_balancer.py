"""MetalLB on a real API server: addresses, refusals, usage, announcements, its webhook."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.services import Site

from nerv.controllers.services import load_balancer
from nerv.controllers.services.load_balancer import resources
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, SECRETS, SERVICES, VALIDATING_WEBHOOKS

SPACE = "metallb-system"


def pool(name: str, *addresses: str, **spec: Any) -> Object:
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"addresses": list(addresses), **spec},
    }


def service(name: str, annotations: dict[str, str] | None = None, port: int = 80, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations or {}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": port}], "selector": {"app": name}, **spec},
    }


def address(obj: Object) -> str:
    ingress = obj["status"].get("loadBalancer", {}).get("ingress") or [{}]
    return str(ingress[0].get("ip", ""))


@pytest.fixture
async def metallb(cluster: Site) -> Site:
    """MetalLB with a ready controller and one pool of two addresses."""
    await cluster.namespace(SPACE)
    await cluster.definitions("metallb")
    environment = [{"name": "METALLB_ML_SECRET_NAME", "value": "metallb-memberlist"}]
    await cluster.pod("controller", "quay.io/metallb/controller:v0.15.2", SPACE, env=environment)
    cluster.start(load_balancer.controllers, "metallb")
    await cluster.client.create(resources.POOLS, pool("home", "192.168.1.111-192.168.1.112"))
    return cluster


async def test_a_service_gets_the_first_free_address_and_the_pool_counts_it(metallb: Site) -> None:
    await metallb.client.create(SERVICES, service("web"))
    web = await metallb.wait(SERVICES, "web", lambda obj: bool(address(obj)), "default")
    assert web["status"]["loadBalancer"]["ingress"] == [{"ip": "192.168.1.111", "ipMode": "VIP"}]
    assert objects.annotations(web)[resources.ALLOCATED_ANNOTATION] == "home"
    await metallb.wait(
        resources.POOLS,
        "home",
        lambda obj: (obj.get("status") or {}).get("assignedIPv4") == 1 and obj["status"]["availableIPv4"] == 1,
        SPACE,
    )


async def test_the_wanted_address_is_given_and_a_foreign_one_refused_in_metallbs_words(metallb: Site) -> None:
    wish = {"metallb.io/loadBalancerIPs": "192.168.1.112"}
    await metallb.client.create(SERVICES, service("web", wish))
    web = await metallb.wait(SERVICES, "web", lambda obj: bool(address(obj)), "default")
    assert address(web) == "192.168.1.112"
    await metallb.client.create(SERVICES, service("far", {"metallb.io/loadBalancerIPs": "10.0.0.1"}))
    text = 'Failed to allocate IP for "default/far": ["10.0.0.1"] is not allowed in config'
    await metallb.until(EVENTS, lambda: _event(metallb, "AllocationFailed", text))


def _event(site: Site, reason: str, text: str) -> Object | None:
    events = site.informers.of(EVENTS).list()
    return next((each for each in events if each["reason"] == reason and each["message"] == text), None)


async def test_an_exhausted_pool_serves_the_next_once_an_address_is_given_back(metallb: Site) -> None:
    for name in ("one", "two"):
        await metallb.client.create(SERVICES, service(name))
        await metallb.wait(SERVICES, name, lambda obj: bool(address(obj)), "default")
    await metallb.client.create(SERVICES, service("three"))
    text = 'Failed to allocate IP for "default/three": no available IPs'
    await metallb.until(EVENTS, lambda: _event(metallb, "AllocationFailed", text))
    await metallb.client.delete(SERVICES, "one", "default")
    three = await metallb.wait(SERVICES, "three", lambda obj: bool(address(obj)), "default")
    assert address(three) == "192.168.1.111"


async def test_services_with_one_sharing_key_share_an_address_unless_their_ports_clash(metallb: Site) -> None:
    wish = {"metallb.io/allow-shared-ip": "web", "metallb.io/loadBalancerIPs": "192.168.1.111"}
    await metallb.client.create(SERVICES, service("a", wish, 80))
    await metallb.client.create(SERVICES, service("b", wish, 443))
    for name in ("a", "b"):
        await metallb.wait(SERVICES, name, lambda obj: address(obj) == "192.168.1.111", "default")
    await metallb.client.create(SERVICES, service("c", wish, 80))
    text = 'Failed to allocate IP for "default/c": port TCP/80 is already in use on "192.168.1.111"'
    await metallb.until(EVENTS, lambda: _event(metallb, "AllocationFailed", text))


async def test_nothing_is_given_while_no_controller_runs(metallb: Site) -> None:
    await metallb.set_ready("controller", SPACE, ready=False)
    await metallb.client.create(SERVICES, service("web"))
    await metallb.wait(SERVICES, "web", lambda obj: True, "default")
    await metallb.set_ready("controller", SPACE)
    await metallb.wait(SERVICES, "web", lambda obj: bool(address(obj)), "default")
    given = await metallb.client.list(EVENTS, "default")
    assert [each["reason"] for each in given.items] == ["IPAllocated"]


async def test_a_service_of_another_class_is_left_alone(metallb: Site) -> None:
    await metallb.client.create(SERVICES, service("other", loadBalancerClass="example.com/other"))
    await metallb.client.create(SERVICES, service("web"))
    await metallb.wait(SERVICES, "web", lambda obj: bool(address(obj)), "default")
    assert not address(await metallb.client.get(SERVICES, "other", "default"))


async def test_the_address_is_taken_back_when_the_service_is_no_load_balancer_any_more(metallb: Site) -> None:
    await metallb.client.create(SERVICES, service("web"))
    await metallb.wait(SERVICES, "web", lambda obj: bool(address(obj)), "default")
    await metallb.client.patch(SERVICES, "web", "default", {"spec": {"type": "ClusterIP"}})
    await metallb.wait(SERVICES, "web", lambda obj: not address(obj), "default")


async def test_a_speaker_announces_from_its_node_only_where_an_advertisement_says_so(metallb: Site) -> None:
    await metallb.pod("speaker", "quay.io/metallb/speaker:v0.15.2", SPACE, address="192.168.1.10")
    await metallb.endpoint("web", "default", "10.42.0.9", 80, 80)
    await metallb.client.patch(SERVICES, "web", "default", {"spec": {"type": "LoadBalancer"}})
    await metallb.wait(SERVICES, "web", lambda obj: bool(address(obj)), "default")
    assert not (await metallb.client.list(resources.L2_STATUSES)).items
    advertisement = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": {"name": "home", "namespace": SPACE},
        "spec": {"ipAddressPools": ["home"]},
    }
    await metallb.client.create(resources.L2_ADVERTISEMENTS, advertisement)
    text = 'announcing from node "n1" with protocol "layer2"'
    await metallb.until(EVENTS, lambda: _event(metallb, "nodeAssigned", text))
    informer = metallb.informers.of(resources.L2_STATUSES)
    status = await metallb.until(
        resources.L2_STATUSES, lambda: next((each for each in informer.list() if each.get("status")), None)
    )
    assert status["status"] == {"node": "n1", "serviceName": "web", "serviceNamespace": "default"}


async def test_the_controller_makes_the_speakers_secret_and_its_own_certificate(metallb: Site) -> None:
    await metallb.wait(SECRETS, "metallb-memberlist", lambda obj: "secretkey" in obj["data"], SPACE)
    secret = await metallb.wait(SECRETS, resources.WEBHOOK_SECRET, lambda obj: bool(obj.get("data")), SPACE)
    assert set(secret["data"]) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}


async def test_an_overlapping_pool_is_refused_by_the_webhook_in_metallbs_words(metallb: Site) -> None:
    await metallb.endpoint(resources.WEBHOOK_SERVICE, SPACE, "10.42.0.2", 443, 9443)
    rule = {
        "apiGroups": ["metallb.io"],
        "apiVersions": ["v1beta1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["ipaddresspools"],
    }
    path = "/validate-metallb-io-v1beta1-ipaddresspool"
    reference = {"name": resources.WEBHOOK_SERVICE, "namespace": SPACE, "path": path}
    webhook = {
        "name": "ipaddresspoolvalidationwebhook.metallb.io",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"service": reference},
        "rules": [rule],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": resources.WEBHOOK_CONFIGURATION},
        "webhooks": [webhook],
    }
    await metallb.client.create(VALIDATING_WEBHOOKS, configuration)
    await metallb.wait(
        VALIDATING_WEBHOOKS,
        resources.WEBHOOK_CONFIGURATION,
        lambda obj: bool(obj["webhooks"][0]["clientConfig"].get("caBundle")),
    )
    text = 'CIDR "192.168.1.112/30" in pool "more" overlaps with already defined CIDR "192.168.1.112/32"'
    with pytest.raises(errors.ApiError, match="denied the request") as refused:
        await metallb.client.create(resources.POOLS, pool("more", "192.168.1.112/30"))
    assert text in refused.value.message
    await metallb.client.create(resources.POOLS, pool("lab", "10.9.0.0/24"))
