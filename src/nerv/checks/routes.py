"""Routes lead to what exists: middlewares, certificates, Secrets of logins, all in the route's namespace."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.checks.repository import Located, Repository, items, mapping
from nerv.components.catalog import Platform
from nerv.errors import Problem

_TRAEFIK = "traefik.io"


def references(platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Names that Traefik would not find; it answers 404 or serves its own certificate then."""
    middlewares = {(found.namespace, found.name) for found in repository.of(_TRAEFIK, "Middleware")}
    certificates = {
        (found.namespace, str(found.spec.get("secretName")))
        for found in repository.of("cert-manager.io", "Certificate")
    }
    secrets = {(found.namespace, found.name) for found in repository.of("", "Secret")}
    for route in repository.of(_TRAEFIK, "IngressRoute"):
        yield from _middlewares(route, middlewares)
        secret = mapping(route.spec.get("tls")).get("secretName")
        if secret and (route.namespace, secret) not in certificates | secrets:
            yield route.problem(f"no Certificate makes Secret `{secret}`", "see spec.tls.secretName")
    for middleware in repository.of(_TRAEFIK, "Middleware"):
        login = mapping(middleware.spec.get("basicAuth")).get("secret")
        if login and (middleware.namespace, login) not in secrets:
            yield middleware.problem(f"Secret `{login}` does not exist", "`nerv render` makes the dashboards' logins")


def _middlewares(route: Located, known: set[tuple[str, str]]) -> Iterator[Problem]:
    for rule in map(mapping, items(route.spec.get("routes"))):
        for used in map(mapping, items(rule.get("middlewares"))):
            namespace = str(used.get("namespace") or route.namespace)
            if (namespace, used.get("name")) not in known:
                yield route.problem(f"middleware `{used.get('name')}` does not exist in {namespace}")
            elif namespace != route.namespace:
                hint = "Traefik follows no reference into another namespace; make one beside the route"
                yield route.problem(f"middleware `{used.get('name')}` stands in namespace {namespace}", hint)
