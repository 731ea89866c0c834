"""Network policies let pass what the platform needs (the routes that rooms name): pods, webhooks, metrics, clients.

The rule of the API: a pod that no Ingress policy selects takes everything; one that is selected takes what any of
those policies allows. A source outside the pods' network is allowed only where a rule names no source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nerv.checks.repository import Located, Repository, items, mapping
from nerv.components import catalog
from nerv.components.catalog import Platform
from nerv.components.site import Route
from nerv.errors import Problem


def reachable(platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Connections that the platform needs and a policy stops."""
    policies = list(repository.of("networking.k8s.io", "NetworkPolicy"))
    for component in catalog.enabled(platform):
        for route in component.routes:
            selecting = [policy for policy in policies if _selects(policy, route)]
            if selecting and not any(_allows(policy, route) for policy in selecting):
                source = route.source_namespace or "outside"
                said = f"stops {route.why}: from {source} to port {route.port}"
                yield selecting[0].problem(said, f"{component.name} needs it")


def _selects(policy: Located, route: Route) -> bool:
    types = policy.spec.get("policyTypes") or ["Ingress"]
    return (
        policy.namespace == route.namespace
        and "Ingress" in types
        and _matches(mapping(policy.spec.get("podSelector")), dict(route.labels))
    )


def _allows(policy: Located, route: Route) -> bool:
    return any(
        _port(mapping(rule), route) and _source(mapping(rule), route, policy.namespace)
        for rule in items(policy.spec.get("ingress"))
    )


def _port(rule: Mapping[str, Any], route: Route) -> bool:
    ports = items(rule.get("ports"))
    return not ports or any(mapping(port).get("port", route.port) == route.port for port in ports)


def _source(rule: Mapping[str, Any], route: Route, namespace: str) -> bool:
    peers = items(rule.get("from"))
    if not peers:
        return True
    if route.source_namespace is None:
        return any(mapping(mapping(peer).get("ipBlock")).get("cidr") == "0.0.0.0/0" for peer in peers)
    return any(_peer(mapping(peer), route, namespace) for peer in peers)


def _peer(peer: Mapping[str, Any], route: Route, namespace: str) -> bool:
    if "namespaceSelector" in peer:
        names = {"kubernetes.io/metadata.name": route.source_namespace or ""}
        if not _matches(mapping(peer["namespaceSelector"]), names):
            return False
    elif namespace != route.source_namespace:
        return False
    return "podSelector" not in peer or _matches(mapping(peer["podSelector"]), dict(route.source_labels))


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Label selectors of equality; expressions are taken as not matching, so what they allow must be said plainly."""
    if items(selector.get("matchExpressions")):
        return False
    return all(labels.get(key) == value for key, value in mapping(selector.get("matchLabels")).items())
