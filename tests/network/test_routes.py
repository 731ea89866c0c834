"""Which targets a connection is joined to."""

from __future__ import annotations

from nerv.network import routes
from nerv.network.routes import Inside, Outside, Route

WEB = routes.table(
    [
        Route("10.43.0.1", 443, (Inside("10.42.0.5", 8443), Inside("10.42.0.6", 8443))),
        Route("10.42.0.5", 8443, (Outside("/run/five"),)),
        Route("10.43.0.2", 80, ()),
        Route("10.43.0.3", 80, (Inside("10.43.0.3", 80),)),
        Route("10.43.0.4", 53, (Inside("10.42.0.9", 53),), "UDP"),
    ]
)


def test_a_service_leads_to_its_pods_in_turn_and_a_pod_to_its_socket() -> None:
    assert routes.resolve(WEB, "10.43.0.1", 443, 0) == [Outside("/run/five"), Inside("10.42.0.6", 8443)]
    assert routes.resolve(WEB, "10.43.0.1", 443, 1) == [Inside("10.42.0.6", 8443), Outside("/run/five")]


def test_a_service_without_endpoints_leads_nowhere() -> None:
    assert routes.resolve(WEB, "10.43.0.2", 80) == []


def test_an_unknown_address_is_its_own_target() -> None:
    assert routes.resolve(WEB, "10.42.0.77", 1) == [Inside("10.42.0.77", 1)]


def test_a_loop_ends() -> None:
    assert routes.resolve(WEB, "10.43.0.3", 80) == []


def test_only_tcp_is_routed() -> None:
    assert ("10.43.0.4", 53) not in WEB


def test_routes_survive_the_way_to_the_relay() -> None:
    route = Route("10.43.0.1", 443, (Inside("10.42.0.5", 8443), Outside("/run/five")))
    assert routes.decode(routes.encode(route)) == route
