"""Releases as Helm keeps them, and the exact text of their storage and of Flux's digests.

A release is a Secret `sh.helm.release.v1.<name>.v<version>` of type helm.sh/release.v1 whose `release` key is JSON,
gzipped, in base64 (and once more in base64 as every Secret). Helm 3, Helm 4 and Flux read what is written here.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from nerv.builders.helm import gojson
from nerv.builders.helm.charts import Chart
from nerv.kube.objects import Object

SECRET_TYPE = "helm.sh/release.v1"
OWNER = "owner=helm"

DEPLOYED = "deployed"
FAILED = "failed"
SUPERSEDED = "superseded"
UNINSTALLED = "uninstalled"
UNINSTALLING = "uninstalling"
PENDING_INSTALL = "pending-install"
PENDING_UPGRADE = "pending-upgrade"
PENDING_ROLLBACK = "pending-rollback"
PENDING = frozenset({PENDING_INSTALL, PENDING_UPGRADE, PENDING_ROLLBACK})


@dataclass(frozen=True)
class HookRun:
    """The last run of a hook. Times are RFC 3339 or empty; phase is Unknown, Running, Succeeded or Failed."""

    started: str = ""
    completed: str = ""
    phase: str = ""


@dataclass(frozen=True)
class Hook:
    """One hook of a release."""

    name: str
    kind: str
    path: str
    manifest: str = field(repr=False)
    events: tuple[str, ...]
    weight: int = 0
    delete_policies: tuple[str, ...] = ()
    last_run: HookRun = HookRun()


@dataclass(frozen=True)
class Info:
    """When and how a release was made. Times are RFC 3339 or empty."""

    first_deployed: str = ""
    last_deployed: str = ""
    deleted: str = ""
    description: str = ""
    status: str = "unknown"
    notes: str = field(default="", repr=False)


@dataclass(frozen=True)
class Release:
    """One version of a release. `chart` is the JSON that Helm stores of a chart."""

    name: str
    namespace: str
    version: int
    info: Info
    chart: Mapping[str, Any] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    manifest: str = field(repr=False)
    hooks: tuple[Hook, ...] = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def status(self) -> str:
        """deployed, failed, superseded, uninstalled, pending-..., ..."""
        return self.info.status

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The chart's Chart.yaml."""
        found: Mapping[str, Any] = self.chart.get("metadata") or {}
        return found

    def now(self, status: str, description: str = "", **changes: str) -> Release:
        """The same release in another state; an empty description leaves the old one."""
        info = replace(self.info, status=status, description=description or self.info.description, **changes)
        return replace(self, info=info)

    def with_hook(self, hook: Hook) -> Release:
        """The release with one hook replaced, found by its path and name."""
        same = (hook.path, hook.name, hook.kind)
        hooks = tuple(hook if (each.path, each.name, each.kind) == same else each for each in self.hooks)
        return replace(self, hooks=hooks)

    def has_hook(self, event: str) -> bool:
        """Whether any hook fires on the event."""
        return any(event in hook.events for hook in self.hooks)


def secret_name(name: str, version: int) -> str:
    """The name of the Secret of one version."""
    return f"sh.helm.release.v1.{name}.v{version}"


def stored_chart(chart: Chart) -> dict[str, Any]:
    """What Helm stores of a chart: no subcharts, files in base64."""
    return {
        "metadata": dict(chart.metadata),
        "lock": chart.lock,
        "templates": [_file(path, data) for path, data in chart.templates],
        "values": dict(chart.values),
        "schema": base64.b64encode(chart.schema).decode() if chart.schema else None,
        "files": [_file(path, data) for path, data in chart.files],
    }


def _file(path: str, data: bytes) -> dict[str, str]:
    return {"name": path, "data": base64.b64encode(data).decode()}


def to_secret(release: Release, now: datetime, namespace: str) -> Object:
    """The Secret of a release; blocks for the time of compressing it."""
    body = {
        "name": release.name,
        "info": _info(release.info),
        "chart": release.chart,
        "config": release.config,
        "manifest": release.manifest,
        "hooks": [_hook(hook) for hook in release.hooks],
        "version": release.version,
        "namespace": release.namespace,
    }
    text = base64.b64encode(gzip.compress(orjson.dumps(body), 6, mtime=0))
    labels = {
        **release.labels,
        "name": release.name,
        "owner": "helm",
        "status": release.status,
        "version": str(release.version),
        "modifiedAt": str(int(now.timestamp())),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(release.name, release.version), "namespace": namespace, "labels": labels},
        "type": SECRET_TYPE,
        "data": {"release": base64.b64encode(text).decode()},
    }


_SYSTEM_LABELS = frozenset({"name", "owner", "status", "version", "createdAt", "modifiedAt"})


def from_secret(secret: Object) -> Release:
    """The release in a Secret, whoever wrote it. Raises ValueError when it is none."""
    try:
        data = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        body = orjson.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except (KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"Secret {secret['metadata']['name']} holds no Helm release: {error}") from None
    labels = secret["metadata"].get("labels") or {}
    return Release(
        name=body["name"],
        namespace=body.get("namespace", ""),
        version=body.get("version", 0),
        info=_read_info(body.get("info") or {}),
        chart=body.get("chart") or {},
        config=body.get("config") or {},
        manifest=body.get("manifest", ""),
        hooks=tuple(_read_hook(hook) for hook in body.get("hooks") or ()),
        labels={name: value for name, value in labels.items() if name not in _SYSTEM_LABELS},
    )


def _info(info: Info) -> dict[str, Any]:
    fields = {
        "first_deployed": info.first_deployed,
        "last_deployed": info.last_deployed,
        "deleted": info.deleted,
    }
    optional = {"description": info.description, "status": info.status, "notes": info.notes}
    return {**fields, **{name: value for name, value in optional.items() if value}}


def _read_info(body: Mapping[str, Any]) -> Info:
    return Info(
        first_deployed=body.get("first_deployed") or "",
        last_deployed=body.get("last_deployed") or "",
        deleted=body.get("deleted") or "",
        description=body.get("description", ""),
        status=body.get("status", ""),
        notes=body.get("notes", ""),
    )


def _hook(hook: Hook) -> dict[str, Any]:
    run = hook.last_run
    fields = {
        "name": hook.name,
        "kind": hook.kind,
        "path": hook.path,
        "manifest": hook.manifest,
        "events": list(hook.events),
        "last_run": {"started_at": run.started, "completed_at": run.completed, "phase": run.phase},
        "weight": hook.weight,
        "delete_policies": list(hook.delete_policies),
    }
    return {name: value for name, value in fields.items() if value or name == "last_run"}


def _read_hook(body: Mapping[str, Any]) -> Hook:
    run = body.get("last_run") or {}
    return Hook(
        name=body.get("name", ""),
        kind=body.get("kind", ""),
        path=body.get("path", ""),
        manifest=body.get("manifest", ""),
        events=tuple(body.get("events") or ()),
        weight=body.get("weight", 0),
        delete_policies=tuple(body.get("delete_policies") or ()),
        last_run=HookRun(run.get("started_at") or "", run.get("completed_at") or "", run.get("phase") or ""),
    )


def digest(release: Release, oci_digest: str = "") -> str:
    """`sha256:...` over what Flux observes of a release: everything but the chart's files and the test hooks.

    Test hooks are left out so that running tests by hand is not a change of the release.
    """
    hooks = [_hook(hook) for hook in release.hooks if "test" not in hook.events]
    observed = {
        "name": release.name,
        "version": release.version,
        "info": _info(release.info),
        "chartMetadata": _chart_metadata(release.metadata),
        "config": gojson.Map(release.config) if release.config else None,
        "manifest": release.manifest,
        "hooks": hooks or None,
        "namespace": release.namespace,
    }
    if oci_digest:
        observed["ociDigest"] = oci_digest
    # Go's encoder ends a value with a line feed
    text = gojson.dumps(observed) + "\n"
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


_DEPENDENCY = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")


def _chart_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    ordered = dict(metadata)
    if "annotations" in ordered:
        ordered["annotations"] = gojson.Map(ordered["annotations"])
    if "maintainers" in ordered:
        ordered["maintainers"] = [_ordered(each, ("name", "email", "url"), ()) for each in ordered["maintainers"]]
    if "dependencies" in ordered:
        always = ("name", "repository")
        ordered["dependencies"] = [_ordered(each, _DEPENDENCY, always) for each in ordered["dependencies"]]
    return ordered


def _ordered(body: Mapping[str, Any], names: Sequence[str], always: Sequence[str]) -> dict[str, Any]:
    return {name: body.get(name) or "" for name in names if body.get(name) or name in always}
