"""Custom resources: every kind is known, comes after what defines it, and has the fields of its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nerv.checks.repository import Located, Repository, mapping
from nerv.components import definitions
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.kube import schemas
from nerv.kube.objects import GroupVersionKind

_KUSTOMIZE = "kustomize.toolkit.fluxcd.io"


def order(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """A custom resource never stands in the Kustomization of the release that brings its definition.

    kustomize-controller dry-runs a whole stage before it applies any of it, so one kind that is not known yet stops
    the release that would define it.
    """
    for applied in repository.of(_KUSTOMIZE, "Kustomization"):
        files = repository.built(str(applied.spec.get("path", ".")))
        inside = [located for located in repository.objects if located.file in files]
        brought = {
            group: release.name
            for release in inside
            if release.group == "helm.toolkit.fluxcd.io"
            for group in definitions.groups_of_chart(_chart(release))
        }
        for located in inside:
            if located.group in brought:
                hint = "move it to apps-config/, which waits for apps"
                release = brought[located.group]
                yield located.problem(f"stands beside HelmRelease {release}, which defines its kind", hint)


def _chart(release: Located) -> str:
    return str(mapping(mapping(release.spec.get("chart")).get("spec")).get("chart", ""))


def fields(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Kinds that nothing defines; fields that a kind does not have, or not like this."""
    own = _defined_here(repository)
    for located in repository.objects:
        version = str(located.object.get("apiVersion", ""))
        if not located.name and not mapping(located.object.get("metadata")).get("generateName"):
            yield located.problem("has no name", "metadata.name")
            continue
        if located.file.endswith(".sops.yaml"):
            continue  # sops adds a field of its own, which Flux takes away again
        schema = _schema(located, own)
        if schema is None:
            yield located.problem(f'no matches for kind "{located.kind}" in version "{version}"', "nothing defines it")
            continue
        for message in _wrong(located, schema):
            yield located.problem(message)


def _wrong(located: Located, schema: schemas.Schema) -> list[str]:
    mistyped = schemas.type_error(located.object, schema)
    if mistyped:
        return [mistyped]
    unknown = schemas.unknown_fields(located.object, schema)
    custom = located.group in definitions.groups()
    return [*unknown, *(error.message for error in schemas.validate(located.object, schema))] if custom else unknown


def _schema(located: Located, own: dict[tuple[str, str, str], Any]) -> schemas.Schema | None:
    group, version = located.group, str(located.object.get("apiVersion", "")).rpartition("/")[2]
    key = (group, version, located.kind)
    if key in own:
        return schemas.structural(own[key])
    return definitions.schema(*key) or schemas.builtin(GroupVersionKind(group, version, located.kind))


def _defined_here(repository: Repository) -> dict[tuple[str, str, str], Any]:
    """Schemas of definitions in the repository itself, by group, version, kind."""
    found = (located.object for located in repository.of("apiextensions.k8s.io", "CustomResourceDefinition"))
    return {key: raw for definition in found for key, raw in definitions.schemas_of(definition)}
