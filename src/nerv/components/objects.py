"""Kubernetes objects that rooms build their folders of: namespace, chart source, release. Plain JSON values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nerv.platform.base import ChartSettings
from nerv.platform.versions import Chart

Object = dict[str, Any]
Folder = dict[str, list[Object]]
"""What a room gives to a folder of the repository: file name -> objects, in this order."""

PodSecurity = Literal["privileged", "baseline", "restricted"]

# A failed first installation is tried until it works: what failed is most often the network. An upgrade is rolled
# back, since the version before worked.
_INSTALL_RETRIES = -1
_UPGRADE_RETRIES = 3


def metadata(name: str, namespace: str = "", **more: Mapping[str, str]) -> Object:
    """metadata with labels and annotations where they are given."""
    made: Object = {"name": name}
    if namespace:
        made["namespace"] = namespace
    return made | {key: dict(value) for key, value in more.items() if value}


def namespace(name: str, level: PodSecurity, *, prune: bool = True) -> Object:
    """A Namespace with its Pod Security level; with `prune` false Flux never deletes it."""
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}
    annotations = {} if prune else {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(name, labels=labels, annotations=annotations),
    }


def helm_repository(name: str, namespace: str, chart: Chart) -> Object:
    """Where Flux finds the chart."""
    spec: Object = {"interval": "1h", "url": chart.repository}
    if chart.repository.startswith("oci://"):
        spec["type"] = "oci"
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": metadata(name, namespace),
        "spec": spec,
    }


@dataclass(frozen=True)
class Ignored:
    """Fields of a kind (or of one object) that a controller of the component writes; no drift."""

    kind: str
    paths: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True)
class Release:
    """How Helm has to treat a chart."""

    chart: Chart
    namespace: str
    timeout: str = "10m"
    replace_crds: bool = False
    """The chart has a crds/ folder, which Helm itself never upgrades."""
    wait: bool = True
    """Wait for the workloads. Without it the release is ready once everything is accepted."""
    install_retries: int = _INSTALL_RETRIES
    """-1: for ever"""
    remediate_last: bool = True
    """Clean up after the last failure too."""
    ignored: tuple[Ignored, ...] = field(default=())


def helm_release(release: Release, settings: ChartSettings, values: Mapping[str, Any]) -> Object:
    """The HelmRelease: the chart at its pin, `values` with the user's values merged over them."""
    chart = release.chart
    crds = {"crds": "CreateReplace"} if release.replace_crds else {}
    waiting = {} if release.wait else {"disableWait": True}
    install: Object = {"retries": release.install_retries}
    if not release.remediate_last:
        install["remediateLastFailure"] = False
    upgrade = {"retries": _UPGRADE_RETRIES, "remediateLastFailure": release.remediate_last}
    drift: Object = {"mode": "enabled"}
    if release.ignored:
        drift["ignore"] = [_ignore(ignored) for ignored in release.ignored]
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": metadata(chart.name, release.namespace),
        "spec": {
            "interval": "30m",
            "releaseName": chart.name,
            "timeout": release.timeout,
            "chart": {
                "spec": {
                    "chart": chart.name,
                    "version": settings.version or chart.version,
                    "sourceRef": {"kind": "HelmRepository", "name": chart.name},
                    "interval": "1h",
                }
            },
            "install": {**crds, **waiting, "remediation": install},
            "upgrade": {**crds, **waiting, "remediation": upgrade},
            **({} if release.wait else {"rollback": dict(waiting)}),
            "driftDetection": drift,
            "values": merge(values, settings.values),
        },
    }


def _ignore(ignored: Ignored) -> Object:
    target = {"kind": ignored.kind} | ({"name": ignored.name} if ignored.name else {})
    return {"paths": list(ignored.paths), "target": target}


def merge(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Object:
    """`theirs` over `ours` as Helm merges values: mappings by key, everything else replaced; null stays, for Helm
    takes it as the removal of a default of the chart."""
    merged = copy.deepcopy(dict(ours))
    for key, value in theirs.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
