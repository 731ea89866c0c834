"""Kustomizations that only list resources, built in process: most of a GitOps repository, at no cost.

Whatever is more than that, or wrong, is left to the real kustomize, which then also finds the words for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders.kustomize.errors import BuildError
from nerv.builders.kustomize.overlay import is_remote
from nerv.builders.kustomize.sources import Sources
from nerv.kube.objects import Object, split_api_version

_PLAIN_FIELDS = {"apiVersion", "kind", "metadata", "resources"}
_LOCAL = "config.kubernetes.io/local-config"
_OWN = ("kustomize.config.k8s.io/", "internal.config.kubernetes.io/")


class NotPlain(Exception):
    """This needs the real kustomize. Never leaves the package."""


def build(sources: Sources, folder: Path, kustomization: Mapping[str, Any]) -> list[Object]:
    """The objects in the order of the lists. Shared with other builds: never mutate them. Raises NotPlain."""
    objects = list(_resources(sources, folder, kustomization, (folder,)))
    seen = set()
    for obj in objects:
        group, _ = split_api_version(str(obj.get("apiVersion")))
        metadata = obj["metadata"]
        identity = (group, obj["kind"], metadata.get("namespace") or "", metadata["name"])
        if identity in seen:
            raise NotPlain
        seen.add(identity)
    return [obj for obj in objects if _annotations(obj).get(_LOCAL) != "true"]


def _resources(
    sources: Sources, folder: Path, kustomization: Mapping[str, Any], above: tuple[Path, ...]
) -> list[Object]:
    listed = kustomization.get("resources") or []
    if not set(kustomization) <= _PLAIN_FIELDS or not isinstance(listed, list):
        raise NotPlain
    objects: list[Object] = []
    for entry in listed:
        if not isinstance(entry, str) or is_remote(entry) or entry.startswith("/"):
            raise NotPlain
        path = (folder / entry).resolve()
        if path.is_dir():
            if path in above:
                raise NotPlain
            objects += _resources(sources, path, _read(sources, path), (*above, path))
        else:
            objects += _objects(sources, path)
    return objects


def _read(sources: Sources, folder: Path) -> Mapping[str, Any]:
    path = sources.kustomization(folder)
    found = _documents(sources, path) if path else []
    if len(found) != 1 or not isinstance(found[0], dict):
        raise NotPlain
    return found[0]


def _documents(sources: Sources, path: Path) -> Sequence[Any]:
    try:
        return sources.documents(path)
    except (documents.DocumentError, BuildError, OSError):
        raise NotPlain from None


def _objects(sources: Sources, path: Path) -> list[Object]:
    objects: list[Object] = []
    for document in _documents(sources, path):
        if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
            raise NotPlain
        items = document.get("items")
        for obj in items if document["kind"].endswith("List") and isinstance(items, list) else [document]:
            if (
                not isinstance(obj, dict)
                or not isinstance(obj.get("metadata"), dict)
                or not obj["metadata"].get("name")
            ):
                raise NotPlain
            if any(key.startswith(_OWN) for key in _annotations(obj)):
                raise NotPlain
            objects.append(obj)
    return objects


def _annotations(obj: Object) -> Mapping[str, str]:
    found = obj["metadata"].get("annotations") or {}
    if not isinstance(found, dict):
        raise NotPlain
    return found
