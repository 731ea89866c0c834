"""The files that a kustomization names: checked before the real kustomize may follow them.

The real program runs with its own restriction lifted, because a Flux artifact may share files between its folders.
So what it may read is decided here: paths inside the artifact, and nothing that would be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders.kustomize.errors import BuildError
from nerv.builders.kustomize.overlay import is_remote
from nerv.builders.kustomize.sources import Sources

_FOLDERS = ("resources", "bases", "components")
_FILES = ("crds", "configurations", "generators", "transformers", "validators", "patchesStrategicMerge")
_PATH_LISTS = ("patches", "patchesJson6902", "replacements")


def secret_files(kustomization: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """The files of secret generators: key, path, and whether the file is a list of variables."""
    for generator in _maps(kustomization.get("secretGenerator")):
        for entry in generator.get("files") or ():
            key, sign, path = str(entry).partition("=")
            yield (key, path, False) if sign else (key, key, False)
        for path in _variable_files(generator):
            yield path, path, True


def walk(sources: Sources, folder: Path, kustomization: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Every kustomization that takes part, with its folder. Raises BuildError for a path that must not be followed."""
    found: list[tuple[Path, Mapping[str, Any]]] = []
    pending = [(folder, kustomization)]
    visited = set()
    while pending:
        here, content = pending.pop()
        if here in visited:
            continue
        visited.add(here)
        found.append((here, content))
        for path in _paths(content):
            target = _checked(sources, here, path)
            below = sources.kustomization(target) if target.is_dir() else None
            if below:
                pending.append((target, _read(sources, below)))
    return found


def _read(sources: Sources, path: Path) -> Mapping[str, Any]:
    try:
        found = sources.documents(path)
    except (documents.DocumentError, OSError):
        return {}  # kustomize itself says what is wrong with the file
    return found[0] if len(found) == 1 and isinstance(found[0], dict) else {}


def _checked(sources: Sources, folder: Path, path: str) -> Path:
    if is_remote(path) or "://" in path:
        raise BuildError(
            f"kustomize build failed: accumulating resources from '{path}': remote bases are not loaded here"
        )
    target = folder / path
    if Path(path).is_absolute() or not sources.contains(target):
        raise BuildError(f"kustomize build failed: '{path}' is not in or below the artifact's root")
    return target.resolve()


def _paths(kustomization: Mapping[str, Any]) -> Iterable[str]:
    for field in (*_FOLDERS, *_FILES):
        for entry in kustomization.get(field) or ():
            # inline objects stand where paths may stand
            if isinstance(entry, str) and "\n" not in entry:
                yield entry
    for field in _PATH_LISTS:
        for entry in _maps(kustomization.get(field)):
            if isinstance(entry.get("path"), str):
                yield entry["path"]
    openapi = kustomization.get("openapi")
    if isinstance(openapi, dict) and isinstance(openapi.get("path"), str):
        yield openapi["path"]
    for field in ("configMapGenerator", "secretGenerator"):
        for generator in _maps(kustomization.get(field)):
            for entry in generator.get("files") or ():
                yield str(entry).rpartition("=")[2]
            yield from _variable_files(generator)
    if kustomization.get("helmCharts") or kustomization.get("helmChartInflationGenerator"):
        raise BuildError("kustomize build failed: helm charts in a kustomization are not supported, use a HelmRelease")


def _variable_files(generator: Mapping[str, Any]) -> list[str]:
    return [str(path) for path in (*(generator.get("envs") or ()), generator.get("env")) if path]


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
