"""Which resources are served: the builtin ones, and those of CustomResourceDefinitions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from nerv.apiserver import definitions
from nerv.kube import errors, schemas, tables
from nerv.kube.objects import Object
from nerv.kube.resources import BUILTIN, EVENTS, EVENTS_V1, Resource
from nerv.kube.schemas import Schema

_NOT_STORED = frozenset({"bindings", "componentstatuses"})


@dataclass(frozen=True)
class Served:
    """One resource in one version. Versions of one resource share `key` and are stored as `storage_version`."""

    resource: Resource
    key: str
    storage_version: str
    several_versions: bool = False
    """Stored objects may be of another version than the served one."""
    definition: definitions.Version | None = None
    """Of the CustomResourceDefinition that brought it; None for builtin resources."""

    @cached_property
    def schema(self) -> Schema | None:
        """Of the served version; None for what has no schema of its own."""
        if self.definition is not None:
            return schemas.structural(self.definition.schema)
        return schemas.builtin(self.resource.gvk)

    @cached_property
    def printer(self) -> tables.Printer:
        """The columns of `kubectl get`."""
        if self.definition is not None:
            return tables.custom(self.definition.columns)
        return tables.builtin(self.resource.gvk)

    @cached_property
    def schema_digest(self) -> str:
        """Changes when the schema of a custom resource does."""
        return hashlib.sha256(orjson.dumps(self.definition.schema)).hexdigest() if self.definition else ""

    @property
    def builtin(self) -> bool:
        return self.definition is None

    @property
    def stored(self) -> bool:
        """Whether objects of it exist at all; reviews and bindings are answered and forgotten."""
        return "list" in self.resource.verbs and self.resource.plural not in _NOT_STORED

    @property
    def storage_api_version(self) -> str:
        """The `apiVersion` that stored objects carry."""
        group = EVENTS.group if self.key == EVENTS.plural else self.resource.group
        return f"{group}/{self.storage_version}" if group else self.storage_version

    @property
    def has_status(self) -> bool:
        """Whether the status is written through its own path only."""
        return self.resource.subresource("status") is not None

    def not_found(self, name: str) -> errors.NotFound:
        """No such object of this resource."""
        return errors.not_found(self.resource.plural, self.resource.group, name)

    def forbidden(self, name: str, why: str) -> errors.Forbidden:
        """Refused, with the API server's wording."""
        return errors.forbidden(self.resource.plural, self.resource.group, name, why)

    def conflict(self, name: str, why: str = "") -> errors.Conflict:
        """Changed in between, with the API server's wording."""
        return errors.conflict(self.resource.plural, self.resource.group, name, why)


class Registry:
    """Looked up at every request; changed when a definition is."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str, str], Served] = {}
        self._custom: dict[str, list[Served]] = {}
        self.generation = 0
        """Counts changes, for what is derived from the registry (discovery, OpenAPI)."""
        for resource in BUILTIN:
            key = EVENTS.plural if resource is EVENTS_V1 else resource.qualified
            version = EVENTS.version if resource is EVENTS_V1 else resource.version
            self._add(Served(resource, key, version, key == EVENTS.plural))

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """The resource of a path."""
        return self._served.get((group, version, plural))

    def require(self, group: str, version: str, plural: str) -> Served:
        """The resource of a path. Raises errors.NotFound with the text of an unknown path."""
        served = self._served.get((group, version, plural))
        if served is None:
            raise errors.NotFound("the server could not find the requested resource", {})
        return served

    def of_kind(self, api_version: str, kind: str) -> Served | None:
        """What serves a kind."""
        for served in self._served.values():
            if served.resource.kind == kind and served.resource.api_version == api_version:
                return served
        return None

    def resources(self, group: str, plural: str) -> list[Served]:
        """All served versions of a resource."""
        return [
            served
            for (found_group, _, found_plural), served in self._served.items()
            if found_group == group and found_plural == plural
        ]

    def by_key(self, key: str) -> list[Served]:
        """All served versions that share a key."""
        return [served for served in self._served.values() if served.key == key]

    def groups(self) -> dict[str, list[str]]:
        """Groups with their versions, in the order of discovery, the best version first."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._served:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        for versions in found.values():
            versions.sort(key=definitions.version_priority)
        return found

    def define(self, crd: Object) -> None:
        """Serve what an established CustomResourceDefinition describes, in place of its former state."""
        self.forget(crd["metadata"]["name"])
        several = len(crd["spec"]["versions"]) > 1
        served = [
            Served(version.resource, crd["metadata"]["name"], definitions.storage_version(crd), several, version)
            for version in definitions.versions(crd)
        ]
        for item in served:
            self._add(item)
        self._custom[crd["metadata"]["name"]] = served
        self.generation += 1

    def forget(self, name: str) -> None:
        """Serve a definition no longer."""
        for served in self._custom.pop(name, []):
            resource = served.resource
            self._served.pop((resource.group, resource.version, resource.plural), None)
        self.generation += 1

    def custom(self, name: str) -> list[Served]:
        """What a definition brought."""
        return self._custom.get(name, [])

    def _add(self, served: Served) -> None:
        resource = served.resource
        self._served[resource.group, resource.version, resource.plural] = served


def is_established(crd: dict[str, Any]) -> bool:
    """Whether a definition is to be served."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
