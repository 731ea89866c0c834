"""EndpointSlices and Endpoints through the real API."""

from __future__ import annotations

from tests.support.controllers import World, template, workload

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES


def service(name: str, **spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    wanted = {"selector": {"app": name}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": wanted}


def deployment(name: str, replicas: int) -> Object:
    pod = template({"app": name})
    pod["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 8080}]
    return workload("Deployment", name, replicas=replicas, template=pod)


def slices(world: World, name: str) -> list[Object]:
    return [each for each in world.list(ENDPOINT_SLICES) if objects.labels(each)["kubernetes.io/service-name"] == name]


def states(world: World, name: str) -> list[tuple[bool, bool, bool]]:
    return sorted(
        (each["conditions"]["ready"], each["conditions"]["serving"], each["conditions"]["terminating"])
        for part in slices(world, name)
        for each in part.get("endpoints") or []
    )


async def shows(world: World, name: str, wanted: list[tuple[bool, bool, bool]]) -> None:
    await world.until(ENDPOINT_SLICES, lambda: states(world, name) == sorted(wanted) or None)


async def test_ready_pods_with_their_named_port(world: World) -> None:
    await world.create(SERVICES, service("web"))
    await world.create(DEPLOYMENTS, deployment("web", 2))
    await shows(world, "web", [(True, True, False)] * 2)
    (part,) = slices(world, "web")
    assert part["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert part["addressType"] == "IPv4"
    assert objects.labels(part)["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert objects.controller_of(part)["name"] == "web"
    addresses = {each["addresses"][0] for each in part["endpoints"]}
    assert addresses == {pod["status"]["podIP"] for pod in world.list(PODS)}
    assert {each["targetRef"]["name"] for each in part["endpoints"]} == {objects.name(p) for p in world.list(PODS)}
    assert {each["nodeName"] for each in part["endpoints"]} == {"n1"}
    legacy = await world.wait(
        ENDPOINTS, "web", lambda obj: len((obj.get("subsets") or [{}])[0].get("addresses") or []) == 2
    )
    assert {each["ip"] for each in legacy["subsets"][0]["addresses"]} == addresses
    assert legacy["subsets"][0]["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


async def test_unready_and_terminating_pods_take_no_new_connections(world: World) -> None:
    world.kubelet.ready = lambda pod: False
    await world.create(SERVICES, service("web"))
    await world.create(DEPLOYMENTS, deployment("web", 1))
    await shows(world, "web", [(False, False, False)])
    await world.wait(ENDPOINTS, "web", lambda obj: "notReadyAddresses" in (obj.get("subsets") or [{}])[0])
    world.kubelet.ready = lambda pod: True
    world.kubelet.look_again()
    await shows(world, "web", [(True, True, False)])
    world.kubelet.lets_go = False
    await world.delete(DEPLOYMENTS, "web")
    await shows(world, "web", [(False, True, True)])
    await world.wait(ENDPOINTS, "web", lambda obj: not obj.get("subsets"))


async def test_headless_publishing_unready_pods(world: World) -> None:
    world.kubelet.ready = lambda pod: False
    await world.create(SERVICES, service("web", clusterIP="None", publishNotReadyAddresses=True))
    await world.create(DEPLOYMENTS, deployment("web", 1))
    await shows(world, "web", [(True, True, False)])
    assert objects.labels(slices(world, "web")[0])["service.kubernetes.io/headless"] == ""


async def test_more_than_a_hundred_pods_take_more_slices(world: World) -> None:
    await world.create(SERVICES, service("web"))
    await world.create(DEPLOYMENTS, deployment("web", 120))
    await shows(world, "web", [(True, True, False)] * 120)
    assert max(len(part["endpoints"]) for part in slices(world, "web")) <= 100
    await world.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 1}})
    await shows(world, "web", [(True, True, False)])


async def test_a_service_without_pods_has_one_empty_slice(world: World) -> None:
    await world.create(SERVICES, service("web"))
    await world.count(ENDPOINT_SLICES, 1, lambda obj: objects.name(obj).startswith("web-"))
    assert not slices(world, "web")[0].get("endpoints")
    await world.delete(SERVICES, "web")
    await world.until(ENDPOINT_SLICES, lambda: not slices(world, "web") or None)
    await world.gone(ENDPOINTS, "web")


async def test_without_a_selector_nothing_is_made(world: World) -> None:
    await world.create(SERVICES, service("web", selector=None))
    await world.settle()
    assert not slices(world, "web")
