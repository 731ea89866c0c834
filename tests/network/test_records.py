"""From Services and EndpointSlices to routes and names."""

from __future__ import annotations

from typing import Any

from nerv.kube.objects import Object
from nerv.network import records
from nerv.network.routes import Inside, Route


def service(name: str, address: str = "10.43.0.7", **changes: Any) -> Object:
    spec = {"clusterIP": address, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **changes}
    return {"kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def slice_of(name: str, *endpoints: Object, port: str = "http") -> Object:
    return {
        "metadata": {"name": f"{name}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": port, "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, ready: bool | None = True, **fields: Any) -> Object:
    return {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}, **fields}


def test_ready_endpoints_of_the_port_are_reached_at_every_address() -> None:
    web = service("web", externalIPs=["192.168.1.200"])
    web["status"] = {"loadBalancer": {"ingress": [{"ip": "192.168.1.111"}]}}
    slices = [slice_of("web", endpoint("10.42.0.6"), endpoint("10.42.0.5", None), endpoint("10.42.0.9", False))]
    targets = (Inside("10.42.0.5", 8080), Inside("10.42.0.6", 8080))
    assert records.routes([web], slices) == [
        Route("10.43.0.7", 80, targets),
        Route("192.168.1.200", 80, targets),
        Route("192.168.1.111", 80, targets),
    ]


def test_a_node_port_is_reached_at_the_nodes() -> None:
    web = service("web", ports=[{"name": "http", "port": 80, "nodePort": 30080}])
    assert records.routes([web], [], ["192.168.1.10"])[1] == Route("192.168.1.10", 30080, ())


def test_a_service_without_endpoints_keeps_its_route_so_that_it_refuses() -> None:
    assert records.routes([service("web")], [slice_of("web", endpoint("10.42.0.5"), port="other")]) == [
        Route("10.43.0.7", 80, ())
    ]


def test_headless_udp_and_external_services_have_no_routes() -> None:
    udp = service("dns", ports=[{"name": "dns", "port": 53, "protocol": "UDP"}])
    assert records.routes([service("db", "None"), service("out", type="ExternalName"), udp], []) == []


def test_names_and_ports_are_those_of_the_dns_specification() -> None:
    slices = [
        slice_of("web", endpoint("10.42.0.5")),
        slice_of("db", endpoint("10.42.0.8", hostname="db-0"), endpoint("10.42.0.9")),
    ]
    found = records.names([service("web"), service("db", "None")], slices, "cluster.local")
    assert found.addresses == {
        "web.default.svc.cluster.local": ("10.43.0.7",),
        "db.default.svc.cluster.local": ("10.42.0.8", "10.42.0.9"),
        "db-0.db.default.svc.cluster.local": ("10.42.0.8",),
        "10-42-0-9.db.default.svc.cluster.local": ("10.42.0.9",),
    }
    assert found.services == {
        "_http._tcp.web.default.svc.cluster.local": ((80, "web.default.svc.cluster.local"),),
        "_http._tcp.db.default.svc.cluster.local": (
            (8080, "db-0.db.default.svc.cluster.local"),
            (8080, "10-42-0-9.db.default.svc.cluster.local"),
        ),
    }
