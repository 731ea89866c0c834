"""A platform's repository as checks see it: files by path, and the Kubernetes objects in its YAML."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from nerv import documents
from nerv.components.objects import Object
from nerv.errors import NervError, Problem

_LEFT_OUT = {".git", ".nerv", ".venv", "node_modules"}
_YAML = (".yaml", ".yml")
_MAX_BYTES = 4_000_000
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(frozen=True)
class Located:
    """An object and the file it stands in."""

    file: str
    object: Object

    @property
    def kind(self) -> str:
        """kind"""
        return str(self.object.get("kind", ""))

    @property
    def group(self) -> str:
        """API group; empty for the core."""
        group, slash, _ = str(self.object.get("apiVersion", "")).partition("/")
        return group if slash else ""

    @property
    def name(self) -> str:
        """metadata.name"""
        return str(mapping(self.object.get("metadata")).get("name", ""))

    @property
    def namespace(self) -> str:
        """metadata.namespace, empty where there is none"""
        return str(mapping(self.object.get("metadata")).get("namespace", ""))

    @property
    def spec(self) -> Mapping[str, Any]:
        """spec, empty where there is none"""
        return mapping(self.object.get("spec"))

    @override
    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"

    def problem(self, message: str, hint: str = "") -> Problem:
        """A problem with this object."""
        return Problem(self.file, 0, 0, f"{self}: {message}", hint)


@dataclass(frozen=True)
class Repository:
    """Text files by path, what is in the YAML ones, and what is wrong with their text."""

    files: Mapping[str, str]
    objects: tuple[Located, ...]
    problems: tuple[Problem, ...] = ()
    kustomizations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Contents of kustomization.yaml files, by the folder they stand in."""

    def of(self, group: str, *kinds: str) -> Iterator[Located]:
        """Objects of these kinds of an API group."""
        return (found for found in self.objects if found.group == group and found.kind in kinds)

    def built(self, folder: str) -> set[str]:
        """Files that kustomize reads for `folder`: what its kustomization.yaml lists, and so on below."""
        seen: set[str] = set()
        self._built(normal(folder), seen)
        return seen

    def _built(self, folder: str, seen: set[str]) -> None:
        listed = self.kustomizations.get(folder)
        if listed is None or f"{folder}/" in seen:
            return
        seen.add(f"{folder}/")
        for resource in resources(listed):
            path = normal(posixpath.join(folder, resource))
            if path in self.files:
                seen.add(path)
            else:
                self._built(path, seen)


def resources(kustomization: Mapping[str, Any]) -> list[str]:
    """Local files and folders that a kustomization.yaml lists."""
    listed = [*_texts(kustomization.get("resources")), *_texts(kustomization.get("components"))]
    return [item for item in listed if "://" not in item and not item.startswith("github.com/")]


def normal(path: str) -> str:
    """A path inside the repository without `./` and `..`."""
    return posixpath.normpath(path).removeprefix("./")


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping, else an empty one: what is checked may be anything."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """`value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [item for item in items(value) if isinstance(item, str)]


def read(root: Path) -> Repository:
    """The repository in `root`. Raises NervError when a file cannot be read."""
    files: dict[str, str] = {}
    for path in sorted(_walk(root)):
        try:
            if path.stat().st_size <= _MAX_BYTES:
                files[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not text: nothing here to check
        except OSError as error:
            raise NervError(f"{path} cannot be read: {error.strerror}") from None
    return from_files(files)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            if path.name not in _LEFT_OUT:
                yield from _walk(path)
        elif path.is_file():
            yield path


def from_files(files: Mapping[str, str]) -> Repository:
    """The repository of these texts; what cannot be parsed becomes a problem."""
    objects: list[Located] = []
    problems: list[Problem] = []
    kustomizations: dict[str, Mapping[str, Any]] = {}
    for path, text in files.items():
        if not path.endswith(_YAML) and posixpath.basename(path) not in KUSTOMIZATION_FILES:
            continue
        try:
            found = documents.load_all(text)
        except documents.DocumentError as error:
            said = error.message.removeprefix(f"line {error.line}: ")
            problems.append(Problem(path, error.line, error.column, said, "not valid YAML"))
            continue
        if posixpath.basename(path) in KUSTOMIZATION_FILES:
            kustomizations[posixpath.dirname(path)] = mapping(found[0]) if found else {}
            continue
        objects += (Located(path, obj) for document in found for obj in _flat(document))
    return Repository(files, tuple(objects), tuple(problems), kustomizations)


def _flat(document: Any) -> Iterator[Object]:
    """Objects of a document: itself, or the items of a List. What has no kind is no object (.sops.yaml, values)."""
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        return
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _flat(item)
    elif document.get("apiVersion") != "nerv.dev/v1":
        yield document
