"""Discovery: which groups, versions and resources there are; plain and aggregated, and /version.

Aggregated forms: apidiscovery.k8s.io/v2 and v2beta1 (`APIGroupDiscoveryList`), asked for by `as=` in Accept.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Iterable
from typing import Any

import orjson

from nerv.apiserver.registry import Registry, Served
from nerv.http.messages import Request, Response
from nerv.kube.objects import Object, join_api_version
from nerv.kube.resources import Subresource

KUBERNETES_VERSION = "v1.31.4"
"""What this server behaves like; K3s' pin of the platform has the same minor version."""


def version() -> Object:
    """The answer of /version, in the form of K3s: a suffix after `+` names the distribution."""
    return {
        "major": "1",
        "minor": "31",
        "gitVersion": f"{KUBERNETES_VERSION}+nerv",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}",
    }


class _Unknown(Exception):
    """Nothing is served under the path."""


class Discovery:
    """Answers, kept until the registry changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._kept: dict[object, bytes] = {}

    def answer(self, request: Request) -> Response:
        """The answer for a path under /api or /apis; groups and versions that are not served are no Status."""
        if self._generation != self._registry.generation:
            self._kept.clear()
            self._generation = self._registry.generation
        path = request.path.rstrip("/")
        aggregated = _aggregated(request) if path in ("/api", "/apis") else ""
        place = (path, aggregated)
        body = self._kept.get(place)
        if body is None:
            try:
                body = self._kept[place] = orjson.dumps(self._document(path, aggregated))
            except _Unknown:
                return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
        kind = "application/json"
        if aggregated:
            kind += f";g=apidiscovery.k8s.io;v={aggregated};as=APIGroupDiscoveryList"
        return Response(200, body, kind, {"Vary": "Accept"})

    def _document(self, path: str, aggregated: str) -> Object:
        if aggregated:
            return self._aggregated(path == "/api", aggregated)
        match [part for part in path.split("/") if part]:
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
            case ["apis"]:
                groups = [_group(name, versions) for name, versions in self._registry.groups().items() if name]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["apis", group]:
                versions = self._registry.groups().get(group)
                if versions and group:
                    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}
            case ["api", version]:
                return self._resources("", version)
            case ["apis", group, version]:
                return self._resources(group, version)
        raise _Unknown

    def _resources(self, group: str, version: str) -> Object:
        listed = [item for served in self._of(group, version) for item in _listed(served)]
        if not listed:
            raise _Unknown
        return {
            "kind": "APIResourceList",
            # the core's own list is older than this field
            **({"apiVersion": "v1"} if group else {}),
            "groupVersion": join_api_version(group, version),
            "resources": listed,
        }

    def _of(self, group: str, version: str) -> list[Served]:
        return [
            served for served in self._registry if served.resource.group == group and served.resource.version == version
        ]

    def _aggregated(self, core: bool, version: str) -> Object:
        items = []
        for group, versions in self._registry.groups().items():
            if (group == "") != core:
                continue
            items.append(
                {
                    "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
                    "versions": [
                        {
                            "version": item,
                            "resources": [_described(served) for served in self._of(group, item)],
                            "freshness": "Current",
                        }
                        for item in versions
                    ],
                }
            )
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }


def _aggregated(request: Request) -> str:
    """The accepted version of the aggregated form, or an empty string for the plain one."""
    for part in request.headers.get("accept", "").split(","):
        fields = dict(item.strip().partition("=")[::2] for item in part.split(";")[1:])
        if fields.get("as") == "APIGroupDiscoveryList" and fields.get("g") == "apidiscovery.k8s.io":
            if fields.get("v") in ("v2", "v2beta1"):
                return fields["v"]
        elif part.split(";")[0].strip() in ("application/json", "*/*") and "as" not in fields:
            return ""
    return ""


def _group(name: str, versions: Iterable[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _listed(served: Served) -> list[Object]:
    """A resource and its subresources as the plain form has them."""
    resource = served.resource
    own: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        own["shortNames"] = list(resource.short_names)
    if resource.categories:
        own["categories"] = list(resource.categories)
    if served.stored:
        own["storageVersionHash"] = _storage_version_hash(served)
    return [own, *(_listed_part(served, part) for part in resource.subresources)]


def _storage_version_hash(served: Served) -> str:
    """Changes when the stored version does (k8s.io/apiserver/pkg/endpoints/discovery)."""
    resource = served.resource
    group = served.storage_api_version.rpartition("/")[0]
    version = "v1beta1" if resource.kind == "CustomResourceDefinition" else served.storage_version
    named = f"{group}/{version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(named.encode()).digest()[:8]).decode()


def _listed_part(served: Served, part: Subresource) -> Object:
    resource = served.resource
    listed: Object = {
        "name": f"{resource.plural}/{part.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": part.kind or resource.kind,
        "verbs": list(part.verbs),
    }
    if part.group:
        listed |= {"group": part.group, "version": part.version}
    return listed


def _described(served: Served) -> Object:
    """A resource as the aggregated form has it."""
    resource = served.resource
    described: Object = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        described["shortNames"] = list(resource.short_names)
    if resource.categories:
        described["categories"] = list(resource.categories)
    if resource.subresources:
        described["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": _kind(
                    part.group or resource.group, part.version or resource.version, part.kind or resource.kind
                ),
                "verbs": list(part.verbs),
            }
            for part in resource.subresources
        ]
    return described


def _kind(group: str, version: str, kind: str) -> dict[str, Any]:
    version = version if group else ""  # the core says nothing of itself
    return {"group": group, "version": version, "kind": kind}
