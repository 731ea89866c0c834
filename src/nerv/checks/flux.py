"""Flux objects name sources, folders and dependencies that exist, and no dependency waits for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nerv.checks.repository import Located, Repository, items, mapping, normal
from nerv.components import charts
from nerv.components.catalog import Platform
from nerv.errors import Problem

_SOURCE = "source.toolkit.fluxcd.io"
_KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
_HELM = "helm.toolkit.fluxcd.io"


def references(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Sources and folders."""
    sources = {(found.kind, found.namespace, found.name) for found in repository.objects if found.group == _SOURCE}
    for applied in repository.of(_KUSTOMIZE, "Kustomization"):
        yield from _source(applied, applied.spec.get("sourceRef"), sources)
        path = normal(str(applied.spec.get("path", ".")))
        if path != "." and not any(file.startswith(f"{path}/") for file in repository.files):
            yield applied.problem(f"folder `{applied.spec.get('path')}` does not exist", "see spec.path")
    for release in repository.of(_HELM, "HelmRelease"):
        chart = mapping(mapping(release.spec.get("chart")).get("spec"))
        yield from _source(release, chart.get("sourceRef") or release.spec.get("chartRef"), sources)
        yield from _values(release, repository)


def decryption(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Secrets that sops encrypted stand where something decrypts them: Flux 2.6 applies the ciphertext of `stringData`
    as it is, and says nothing (docs/explanation/engines.md)."""
    for applied in repository.of(_KUSTOMIZE, "Kustomization"):
        folder = normal(str(applied.spec.get("path", "."))) + "/"
        if applied.spec.get("decryption"):
            continue
        for secret in repository.of("", "Secret"):
            if secret.file.startswith(folder) and "sops" in secret.object:
                who = f"Kustomization {applied.namespace}/{applied.name}"
                yield secret.problem(
                    f"is encrypted, and {who}, which applies it, has no spec.decryption",
                    "keep it in secrets/, which one with decryption applies",
                )


def _source(user: Located, reference: Any, sources: set[tuple[str, str, str]]) -> Iterator[Problem]:
    told = mapping(reference)
    wanted = (str(told.get("kind")), str(told.get("namespace") or user.namespace), str(told.get("name")))
    if told and wanted not in sources:
        kind, namespace, name = wanted
        yield user.problem(f"source {kind} {namespace}/{name} does not exist", "see sourceRef")


def _values(release: Located, repository: Repository) -> Iterator[Problem]:
    there = {(found.kind, found.namespace, found.name) for found in repository.of("", "ConfigMap", "Secret")}
    for entry in items(release.spec.get("valuesFrom")):
        told = mapping(entry)
        wanted = (str(told.get("kind")), release.namespace, str(told.get("name")))
        if not told.get("optional") and wanted not in there:
            yield release.problem(f"values from {told.get('kind')} {told.get('name')}, which does not exist", "")


def chart_values(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Values that the chart's own schema refuses: Helm would, too, at the moment of the upgrade."""
    for release in repository.of(_HELM, "HelmRelease"):
        chart = mapping(mapping(release.spec.get("chart")).get("spec"))
        values = dict(mapping(release.spec.get("values")))
        for message in charts.wrong_values(str(chart.get("chart")), str(chart.get("version")), values):
            yield release.problem(message, "the chart's schema refuses it")


def dependencies(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """dependsOn leads to objects that exist and never back."""
    for group, kind in ((_KUSTOMIZE, "Kustomization"), (_HELM, "HelmRelease")):
        found = {(located.namespace, located.name): located for located in repository.of(group, kind)}
        graph = {key: _needs(located) for key, located in found.items()}
        for key, located in found.items():
            for needed in graph[key]:
                if needed not in found:
                    hint = f"the {kind} waits for ever"
                    yield located.problem(f"depends on {'/'.join(needed)}, which does not exist", hint)
            if key in _reachable(graph, key):
                yield located.problem("depends on itself", "break the circle in spec.dependsOn")


def _needs(located: Located) -> list[tuple[str, str]]:
    told = (mapping(entry) for entry in items(located.spec.get("dependsOn")))
    return [(str(entry.get("namespace") or located.namespace), str(entry.get("name"))) for entry in told]


def _reachable(graph: Mapping[tuple[str, str], list[tuple[str, str]]], start: tuple[str, str]) -> set[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    waiting = list(graph[start])
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += graph.get(key, [])
    return seen
