"""What a Flux Kustomization adds to the kustomization file of its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders.kustomize.errors import BuildError
from nerv.builders.kustomize.sources import Sources

_API_VERSION = "kustomize.config.k8s.io/v1beta1"
_REMOTE = ("git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/")
_TARGET = ("group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector")


@dataclass(frozen=True)
class Overlay:
    """The fields of the same names in a Flux Kustomization's spec."""

    target_namespace: str = ""
    name_prefix: str = ""
    name_suffix: str = ""
    patches: Sequence[Mapping[str, Any]] = ()
    images: Sequence[Mapping[str, Any]] = ()
    components: Sequence[str] = ()

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Overlay:
        """From a Flux Kustomization's spec."""
        return cls(
            spec.get("targetNamespace") or "",
            spec.get("namePrefix") or "",
            spec.get("nameSuffix") or "",
            tuple(spec.get("patches") or ()),
            tuple(spec.get("images") or ()),
            tuple(spec.get("components") or ()),
        )

    @property
    def empty(self) -> bool:
        """Whether the kustomization file stays as it is."""
        return self == Overlay()

    def merged(self, kustomization: Mapping[str, Any]) -> dict[str, Any]:
        """The kustomization with these fields in it. Raises BuildError for a component that is not local."""
        result = {"apiVersion": _API_VERSION, "kind": "Kustomization", **kustomization}
        if not result.get("resources"):
            # otherwise kustomize calls the file empty
            result.setdefault("buildMetadata", ["originAnnotations"])
        for field, value in (
            ("namespace", self.target_namespace),
            ("namePrefix", self.name_prefix),
            ("nameSuffix", self.name_suffix),
        ):
            if value:
                result[field] = value
        if self.patches:
            result["patches"] = [*(result.get("patches") or ()), *map(_patch, self.patches)]
        if self.components:
            result["components"] = [*(result.get("components") or ()), *map(_component, self.components)]
        if self.images:
            result["images"] = _images(result.get("images") or (), self.images)
        return result


def _patch(patch: Mapping[str, Any]) -> dict[str, Any]:
    target = patch.get("target")
    added = {"target": {field: target[field] for field in _TARGET if target.get(field)}} if target else {}
    return {"patch": patch.get("patch", ""), **added}


def _component(path: str) -> str:
    if is_remote(path) or path.startswith("/"):
        raise BuildError(f"component path '{path}' must be local and relative")
    return path


def _images(present: Sequence[Mapping[str, Any]], added: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Images by name; tag and digest choose the version together, so that one set replaces both."""
    result = {image["name"]: dict(image) for image in present}
    for image in added:
        here = result.setdefault(image["name"], {"name": image["name"]})
        if image.get("newName"):
            here["newName"] = image["newName"]
        if image.get("newTag") or image.get("digest"):
            for field in ("newTag", "digest"):
                here.pop(field, None)
                if image.get(field):
                    here[field] = image[field]
    return list(result.values())


def is_remote(path: str) -> bool:
    """Whether kustomize would fetch what the path names."""
    return path.lower().startswith(_REMOTE)


def generate(sources: Sources, folder: Path) -> dict[str, Any]:
    """The kustomization of a folder that has none: every manifest in it and below; folders with a kustomization of
    their own as they are. Raises BuildError for a file that holds no Kubernetes objects."""
    found = _scan(sources, folder)
    base = {"apiVersion": _API_VERSION, "kind": "Kustomization"}
    if not found:
        # otherwise kustomize calls the file empty
        return {**base, "namespace": "_placeholder"}
    return {**base, "resources": [f"./{path.relative_to(folder)}" for path in found]}


def _scan(sources: Sources, folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            found += [path] if sources.kustomization(path) else _scan(sources, path)
        elif path.suffix in (".yaml", ".yml") and path.is_file():
            _check(sources, path)
            found.append(path)
    return found


def _check(sources: Sources, path: Path) -> None:
    place = f"failed to decode Kubernetes YAML from {sources.name(path)}"
    try:
        objects = sources.documents(path)
    except documents.DocumentError as error:
        raise BuildError(f"{place}: MalformedYAMLError: yaml: {error.message} <nil>") from None
    for obj in objects:
        if not isinstance(obj, dict) or not obj.get("kind"):
            raise BuildError(f"{place}: missing Resource metadata")
        metadata = obj.get("metadata")
        if not obj["kind"].endswith("List") and not (isinstance(metadata, dict) and metadata.get("name")):
            raise BuildError(f"{place}: missing metadata.name in object {_in_go(obj)} <nil>")


def _in_go(obj: Mapping[str, Any]) -> str:
    """What identifies an object, as Go prints the structure: type, name and namespace, labels, annotations."""
    metadata = obj.get("metadata") or {}
    maps = (metadata.get(field) or {} for field in ("labels", "annotations"))
    printed = " ".join(f"map[{' '.join(f'{key}:{value}' for key, value in sorted(found.items()))}]" for found in maps)
    return f"{{{{{obj.get('apiVersion', '')} {obj['kind']}}} {{{{ {metadata.get('namespace', '')}}} {printed}}}}}"
