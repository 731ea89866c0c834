"""/openapi/v3: an index of documents by group and version, and the documents, made when somebody asks.

A document is kept compressed: kubectl and Helm ask for the same few again and again, and plain they take megabytes.
"""

from __future__ import annotations

import hashlib
import zlib

import orjson

from nerv.apiserver.discovery import KUBERNETES_VERSION
from nerv.apiserver.registry import Registry, Served
from nerv.http.messages import Response
from nerv.kube import errors, openapi

_KEPT = 32


class Publication:
    """Documents of what a registry serves."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[str, bytes] = {}

    def answer(self, path: str) -> Response:
        """The answer for a path under /openapi/v3. Raises errors.NotFound."""
        groups = self._groups()
        name = path.removeprefix("/openapi/v3").strip("/")
        if not name:
            digests = {name: _digest(served) for name, served in groups.items()}
            return Response(200, orjson.dumps(openapi.index(digests)))
        if name not in groups:
            raise errors.NotFound("the server could not find the requested resource", {})
        return Response(200, self._document(groups[name]))

    def _groups(self) -> dict[str, list[Served]]:
        groups: dict[str, list[Served]] = {}
        for served in self._registry:
            resource = served.resource
            groups.setdefault(openapi.document_path(resource.group, resource.version), []).append(served)
        return groups

    def _document(self, served: list[Served]) -> bytes:
        digest = _digest(served)
        kept = self._kept.get(digest)
        if kept is not None:
            return zlib.decompress(kept)
        resource = served[0].resource
        custom = {item.resource.kind: item.definition.schema for item in served if item.definition}
        made = openapi.document(resource.group, resource.version, [item.resource for item in served], custom)
        while len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[digest] = zlib.compress(made, 1)
        return made


def _digest(served: list[Served]) -> str:
    """Of what a document is made from: cheaper than the document."""
    parts = [f"{item.resource.gvk}{item.schema_digest}" for item in served]
    return hashlib.sha256("\n".join([KUBERNETES_VERSION, *parts]).encode()).hexdigest().upper()
