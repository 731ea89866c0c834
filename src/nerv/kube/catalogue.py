"""What a cluster serves, by the words people use for it: `pods`, `po`, `Kustomization`, `certificates.cert-manager.io`.

One aggregated discovery document holds every kind, so two requests answer what a
command line may name. Pure but `read`.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.client import Client, RawResponse
from nerv.kube.resources import Resource

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_AGGREGATED_BETA = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Catalogue:
    """Every resource in the order of discovery: where a word fits two kinds, the first is meant, as with kubectl."""

    resources: tuple[Resource, ...]

    @classmethod
    def of(cls, *documents: Mapping[str, Any]) -> Catalogue:
        """From aggregated discovery documents (`/api`, then `/apis`)."""
        return cls(tuple(resource for document in documents for resource in _resources(document)))

    def find(self, word: str) -> Resource | None:
        """By plural, singular, short name or kind, each also with `.group` behind it; letter case does not matter."""
        name, _, group = word.lower().partition(".")
        for resource in self.resources:
            known = {resource.plural, resource.singular, resource.kind.lower(), *resource.short_names}
            if name in known and (not group or resource.group == group):
                return resource
        return None

    def of_kind(self, group: str, kind: str) -> Resource | None:
        """The preferred version of a kind."""
        return next((each for each in self.resources if (each.group, each.kind) == (group, kind)), None)

    def require(self, word: str) -> Resource:
        """As `find`. Raises NervError with what may have been meant."""
        found = self.find(word)
        if found is None:
            near = difflib.get_close_matches(word.lower(), self._words(), 1)
            raise NervError(
                f"this cluster serves no kind {word!r}",
                f"did you mean {near[0]}?" if near else "its CustomResourceDefinition is not installed",
            )
        return found

    def _words(self) -> list[str]:
        return [word for each in self.resources for word in (each.plural, each.singular, *each.short_names) if word]


async def read(client: Client) -> Catalogue:
    """Ask the server. Raises errors.ApiError, and NervError where it is too old for aggregated discovery."""
    accept = f"{_AGGREGATED},{_AGGREGATED_BETA},application/json"
    answers = await asyncio.gather(*(client.raw("GET", path, accept=accept) for path in ("/api", "/apis")))
    return Catalogue.of(*(_document(answer) for answer in answers))


def _document(answer: RawResponse) -> dict[str, Any]:
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        value = {"message": answer.body.decode("utf-8", "replace").strip()[:200]}
    if answer.status >= 400:
        raise errors.from_status({"code": answer.status, **value})
    if value.get("kind") != "APIGroupDiscoveryList":
        raise NervError("this API server is too old for aggregated discovery", "Kubernetes 1.27 or newer is needed")
    found: dict[str, Any] = value
    return found


def _resources(document: Mapping[str, Any]) -> Iterator[Resource]:
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        yield from _of_group(name, group.get("versions") or ())


def _of_group(group: str, versions: Iterable[Mapping[str, Any]]) -> Iterator[Resource]:
    """Each resource once, in the first version that serves it: versions stand in the order of preference."""
    seen: set[str] = set()
    for version in versions:
        for item in version.get("resources") or ():
            if item["resource"] in seen:
                continue
            seen.add(item["resource"])
            yield Resource(
                group,
                version["version"],
                item["resource"],
                (item.get("responseKind") or {}).get("kind") or "",
                item.get("scope") == "Namespaced",
                item.get("singularResource") or "",
                tuple(item.get("shortNames") or ()),
                tuple(item.get("categories") or ()),
                tuple(item.get("verbs") or ()),
            )
