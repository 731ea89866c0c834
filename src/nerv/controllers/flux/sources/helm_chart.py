"""HelmChart: one version of a chart out of a repository, or packed from a folder of a Git artifact."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nerv import documents
from nerv.builders import helm
from nerv.builders.helm import charts, values
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.config import Outside
from nerv.controllers.flux.draft import Draft
from nerv.controllers.flux.sources import chart_index, download
from nerv.controllers.flux.sources.common import (
    BUILD_FAILED,
    FETCH_FAILED,
    OUTDATED,
    Failed,
    Fetched,
    Later,
    Stuck,
    drifted,
)
from nerv.kube.client import Client
from nerv.kube.objects import Object

_REFERENCE = "invalid chart reference"
_PULL = "chart pull error"
_CHART_NAME = re.compile(r"^[-a-z0-9A-Z._]+$")


@dataclass(frozen=True)
class Built:
    """A chart ready to be stored."""

    name: str
    version: str
    archive: bytes
    packaged: bool
    values_files: Sequence[str] = ()

    @property
    def summary(self) -> str:
        """What conditions and events say."""
        action = "packaged" if self.packaged else "pulled"
        return summary(action, self.name, self.version, self.values_files)


def summary(action: str, name: str, version: str, values_files: Sequence[str] = ()) -> str:
    """`pulled 'x' chart with version '1.0.0'`."""
    merged = f" and merged values files [{' '.join(values_files)}]" if values_files else ""
    return f"{action} '{name}' chart with version '{version}'{merged}"


@dataclass(frozen=True)
class ChartFetcher:
    """Fetches HelmCharts; `lookup` finds a source by kind, namespace and name."""

    client: Client
    storage: Storage
    outside: Outside
    lookup: Callable[[str, str, str], Object | None]

    async def fetch(self, draft: Draft) -> Fetched:
        """Raises Failed, Stuck, Later."""
        if draft.spec.get("verify"):
            raise Stuck(FETCH_FAILED, "VerificationError", "signatures cannot be verified here, remove spec.verify")
        source, artifact = self._source(draft)
        draft.status["observedSourceArtifactRevision"] = artifact["revision"]
        if draft.spec["sourceRef"]["kind"] == "HelmRepository":
            built = await self._pull(draft, source, artifact)
        else:
            built = await asyncio.to_thread(self._package, draft, artifact)
        return built if isinstance(built, Fetched) else await self._store(draft, built)

    def _source(self, draft: Draft) -> tuple[Object, Object]:
        reference = draft.spec["sourceRef"]
        kind, name = reference["kind"], reference["name"]
        source = self.lookup(kind, draft.namespace, name)
        if source is None:
            plural = {"HelmRepository": "helmrepositories", "GitRepository": "gitrepositories"}.get(kind, "buckets")
            message = f'failed to get source: {plural}.source.toolkit.fluxcd.io "{name}" not found'
            raise Later(FETCH_FAILED, "SourceUnavailable", message)
        if kind == "HelmRepository" and source["spec"].get("type") == "oci":
            message = f"{_PULL}: OCI chart repositories cannot be pulled from here, use an https one"
            raise Stuck(FETCH_FAILED, "ChartPullError", message)
        artifact = (source.get("status") or {}).get("artifact")
        if not artifact or not self.storage.holds(artifact):
            message = f"no artifact available for {kind} source '{name}'"
            raise Later(FETCH_FAILED, "NoSourceArtifact", message)
        return source, artifact

    async def _pull(self, draft: Draft, repository: Object, artifact: Object) -> Built | Fetched:
        name: str = draft.spec["chart"]
        if not _CHART_NAME.match(name):
            message = f"{_REFERENCE}: invalid chart name '{name}': a valid name must be lower case letters and numbers"
            raise Stuck(BUILD_FAILED, "InvalidChartReference", message)
        url: str = repository["spec"]["url"]
        try:
            index = await asyncio.to_thread(chart_index.read, self.storage.path_of(artifact).read_bytes())
            entry = chart_index.find(index, url, name, draft.spec.get("version") or "*")
        except chart_index.ChartIndexError as error:
            message = f"{_REFERENCE}: failed to get chart version for remote reference: {error.message}"
            raise Stuck(BUILD_FAILED, "InvalidChartReference", message) from None
        files = draft.spec.get("valuesFiles") or ()
        version = entry.version + (f"+{draft.generation}" if files else "")
        kept = self._kept(draft, name, version, packaged=bool(files), files=files)
        if kept is not None:
            return kept
        drifted(draft, f"building artifact: {summary('new', name, version)}")
        await draft.save()
        archive = await self._download(repository, entry, url)
        return await asyncio.to_thread(_finished, archive, version, draft.spec)

    def _kept(self, draft: Draft, name: str, version: str, *, packaged: bool, files: Sequence[str]) -> Fetched | None:
        """What is stored already, unless the spec changed since."""
        artifact = draft.status.get("artifact")
        same = draft.status.get("observedChartName") == name and artifact and artifact["revision"] == version
        if not same or draft.status.get("observedGeneration") != draft.generation:
            return None
        text = summary("packaged" if packaged else "pulled", name, version, files)
        return Fetched(text, text, "ChartPackageSucceeded" if packaged else "ChartPullSucceeded")

    async def _download(self, repository: Object, entry: chart_index.Entry, url: str) -> bytes:
        seconds = 60.0
        try:
            credentials = await download.credentials(self.client, repository)
            everywhere = bool(repository["spec"].get("passCredentials"))
            archive = await download.get(
                entry.url,
                self.outside,
                credentials,
                timeout=seconds,
                limit=chart_index.MAX_CHART,
                same_host_as="" if everywhere else url,
            )
        except download.CredentialsError as error:
            raise Failed(FETCH_FAILED, "AuthenticationFailed", error.message) from None
        except download.DownloadError as error:
            message = f"{_PULL}: failed to download chart for remote reference: {error.message}"
            raise Failed(BUILD_FAILED, "ChartPullError", message) from None
        if entry.digest and hashlib.sha256(archive).hexdigest() != entry.digest:
            message = f"{_PULL}: the digest of {entry.url} is not the one that the index gives"
            raise Failed(BUILD_FAILED, "ChartPullError", message)
        return archive

    def _package(self, draft: Draft, artifact: Object) -> Built:
        """A chart out of a folder, or an archive, of a Git artifact."""
        sources = self.storage.sources(artifact)
        path: str = draft.spec["chart"]
        place = (sources.root / path.lstrip("/")).resolve()
        if not sources.contains(place) or not place.exists():
            message = f"{_REFERENCE}: no chart found at reference path '{path}': stat {path}: no such file or directory"
            raise Stuck(BUILD_FAILED, "InvalidChartReference", message)
        try:
            archive = place.read_bytes() if place.is_file() else helm.package(place)
            version = str(helm.load(archive).metadata.get("version", ""))
        except helm.ChartError as error:
            raise Stuck(BUILD_FAILED, "InvalidChartReference", f"{_REFERENCE}: {error.message}") from None
        parts = []
        if draft.spec.get("reconcileStrategy") == "Revision":
            parts.append(artifact["revision"].rpartition(":")[2][:12])
        if draft.spec.get("valuesFiles"):
            parts.append(str(draft.generation))
        built = _finished(archive, f"{version}+{'.'.join(parts)}" if parts else version, draft.spec)
        return Built(built.name, built.version, built.archive, place.is_dir() or built.packaged, built.values_files)

    async def _store(self, draft: Draft, built: Built) -> Fetched:
        reason = "ChartPackageSucceeded" if built.packaged else "ChartPullSucceeded"
        before = draft.status.get("artifact")
        digest = f"sha256:{hashlib.sha256(built.archive).hexdigest()}"
        fetched = Fetched(built.summary, built.summary, reason)
        if before and before["revision"] == built.version and before["digest"] == digest:
            return fetched
        if before:
            draft.mark(OUTDATED, "True", "NewChart", built.summary)
        artifact = self.storage.store(
            *("HelmChart", draft.namespace, draft.name, built.version),
            f"{built.name}-{built.version}.tgz",
            built.archive,
        )
        draft.status["artifact"] = artifact
        draft.status["url"] = f"{artifact['url'].rpartition('/')[0]}/latest.tar.gz"
        draft.status["observedChartName"] = built.name
        draft.status.pop("observedValuesFiles", None)
        if draft.spec.get("ignoreMissingValuesFiles"):
            draft.status["observedValuesFiles"] = list(built.values_files)
        return Fetched(built.summary, built.summary, reason, changed=True)


def _finished(archive: bytes, version: str, spec: Mapping[str, Any]) -> Built:
    """The chart with its version and merged values files in it, untouched where neither is asked for."""
    try:
        chart = helm.load(archive)
    except helm.ChartError as error:
        raise Failed(BUILD_FAILED, "ChartPullError", f"{_PULL}: {error.message}") from None
    name = str(chart.metadata.get("name", ""))
    wanted: Sequence[str] = spec.get("valuesFiles") or ()
    if not wanted and version == chart.metadata.get("version"):
        return Built(name, version, archive, packaged=False)
    files = dict(charts.members(archive))
    merged, used = _merged(files, wanted, ignore_missing=bool(spec.get("ignoreMissingValuesFiles")))
    if used:
        files["values.yaml"] = documents.dump(merged).encode()
    files["Chart.yaml"] = documents.dump({**documents.load(files["Chart.yaml"]), "version": version}).encode()
    return Built(name, version, charts.pack(name, files), packaged=True, values_files=used)


def _merged(
    files: Mapping[str, bytes], wanted: Sequence[str], *, ignore_missing: bool
) -> tuple[dict[str, Any], list[str]]:
    merged: dict[str, Any] = {}
    used = []
    for path in wanted:
        data = files.get(path.removeprefix("./"))
        if data is None:
            if ignore_missing:
                continue
            message = f"values files merge error: failed to merge chart values: no values file found at path '{path}'"
            raise Stuck(BUILD_FAILED, "ValuesFilesError", message)
        try:
            found = documents.load(data) or {}
        except documents.DocumentError as error:
            why = f"unmarshaling values from '{path}' failed: {error.message}"
            message = f"values files merge error: failed to merge chart values: {why}"
            raise Stuck(BUILD_FAILED, "ValuesFilesError", message) from None
        merged = values.merge(merged, found)
        used.append(path)
    return merged, used
