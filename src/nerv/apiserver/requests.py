"""What a request means to Kubernetes: verb, resource, namespace, name, subresource.

The rules are those of k8s.io/apiserver/pkg/endpoints/request (RequestInfo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nerv.apiserver.identity import User
from nerv.http.messages import Request
from nerv.kube import errors, fields

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


class Target(NamedTuple):
    """What a path and method address. An empty plural: it is no resource, only `path` counts."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows `/proxy`, with its leading slash."""

    @property
    def is_resource(self) -> bool:
        return bool(self.plural)


@dataclass(frozen=True, slots=True)
class Call:
    """A request by somebody for something."""

    request: Request
    user: User
    target: Target

    @property
    def dry_run(self) -> bool:
        """Do everything but store. Raises errors.Invalid for a value other than All."""
        values = self.request.params.get("dryRun", [])
        if any(value not in ("All", "") for value in values):
            wrong = fields.not_supported("dryRun", fields.Strings(values), ["All"])
            raise errors.invalid_options(self.request.method, wrong.cause())
        return "All" in values


def parse(request: Request) -> Target:
    """The target of a request."""
    path = request.path
    parts = [part for part in path.split("/") if part]
    verb = _VERBS.get(request.method, request.method.lower())
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Target(request.method.lower(), path)
    # the older form of a watch: /api/v1/watch/namespaces/x/secrets
    watching = rest[0] == "watch" and len(rest) > 1 and verb == "get"
    if watching:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and not (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    elif rest[0] == "namespaces" and not group:
        namespace = rest[1] if len(rest) > 1 else ""
    plural = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    tail = ""
    if len(rest) > 3:
        tail = "/" + "/".join(rest[3:]) + ("/" if path.endswith("/") else "")
    elif subresource == "proxy" and path.endswith("/"):
        tail = "/"
    if watching:
        verb = "watch"
    elif not name:
        verb = _collection_verb(verb, request)
    elif verb == "get" and _watching(request):
        verb = "watch"
    return Target(verb, path, group, version, plural, namespace, name, subresource, tail)


def _collection_verb(verb: str, request: Request) -> str:
    if verb == "get":
        return "watch" if _watching(request) else "list"
    return "deletecollection" if verb == "delete" else verb


def _watching(request: Request) -> bool:
    return "watch=" in request.query and request.param("watch").lower() in ("true", "1", "")
