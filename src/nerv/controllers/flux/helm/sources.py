"""Where a HelmRelease's chart comes from: the HelmChart or OCIRepository, its artifact, and the chart in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nerv import documents
from nerv.builders import helm
from nerv.builders.helm import Chart, charts, sdk
from nerv.controllers.flux.api import HELM_CHARTS, OCI_REPOSITORIES, READY, STALLED
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.helm.view import View
from nerv.errors import NervError
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

_SEMVER = re.compile(r"v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.-]+)?")
_SHORT = 12


def reference(view: View) -> tuple[Resource, str, str]:
    """The resource, namespace and name of the object that fetches the chart."""
    chosen = view.spec.get("chartRef")
    if chosen:
        resource = OCI_REPOSITORIES if chosen["kind"] == OCI_REPOSITORIES.kind else HELM_CHARTS
        return resource, chosen.get("namespace") or view.namespace, chosen["name"]
    source = view.spec["chart"]["spec"]["sourceRef"]
    return HELM_CHARTS, source.get("namespace") or view.namespace, view.chart_name


def not_ready(source: Object) -> str:
    """Why the source has no chart for us yet, or an empty string."""
    place = f"{objects.kind(source)} '{objects.key(source)}' is not ready: "
    status = source.get("status") or {}
    ready, stalled = objects.condition(source, READY), objects.condition(source, STALLED)
    if status.get("observedGeneration") != objects.generation(source):
        if ready is not None and ready["status"] == "False":
            return place + str(ready.get("message", ""))
        return place + "latest generation of object has not been reconciled"
    if stalled is not None and stalled["status"] == "True":
        return place + str(stalled.get("message", ""))
    return "" if status.get("artifact") else f"{place}does not have an artifact"


class ArtifactGone(NervError):
    """The artifact is not in the storage any more; the source will fetch it again."""


async def load(storage: Storage, source: Object) -> Chart:
    """The chart in a source's artifact. Raises ArtifactGone, charts.ChartError."""
    artifact: Mapping[str, Any] = source["status"]["artifact"]

    def work() -> Chart:
        if not storage.holds(artifact):
            raise ArtifactGone("Source not ready: artifact not found")
        return helm.load(storage.path_of(artifact).read_bytes())

    return await sdk.call(work)


def with_revision(chart: Chart, source: Object) -> tuple[Chart, str]:
    """For OCI artifacts: the chart with the artifact's digest in its version, and that digest. Raises NervError.

    So a tag that moved is seen as another version.
    """
    if objects.kind(source) != OCI_REPOSITORIES.kind:
        return chart, ""
    revision: str = source["status"]["artifact"]["revision"]
    tag, _, digest = revision.rpartition("@")
    version = _SEMVER.fullmatch(chart.version)
    if version is None:
        raise NervError("Invalid Semantic Version")
    if tag:
        tagged = _SEMVER.fullmatch(tag.replace("_", "+"))
        if tagged is None:
            raise NervError(f"failed parsing artifact revision {tag}")
        if tagged.group(1) != version.group(1):
            raise NervError(f"artifact revision {tag} does not match chart version {chart.version}")
    algorithm, _, value = digest.partition(":")
    if not algorithm or len(value) < _SHORT:
        raise NervError(f"invalid artifact revision {digest}")
    changed = f"{version.group(1)}+{value[:_SHORT]}"
    files = dict(charts.members(chart.archive))
    files["Chart.yaml"] = documents.dump({**chart.metadata, "version": changed}).encode()
    return chart.with_version(changed, charts.pack(chart.name, files, level=1)), digest
