"""Rendering as an installation or an upgrade would: `.Release`, `.Capabilities`, hooks and `lookup` all true.

The SDK's dry run of an installation is the one entry that takes capabilities, but it always says "install, revision
1", adds the API versions of Helm's own client library to the cluster's, and drops hooks. So the archive is changed in
memory before it is rendered: every template begins with statements (on its first line, so that line numbers in errors
stay) that set `.Release` and `.Capabilities`, and the annotation `helm.sh/hook` carries another name until the result
is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nerv.builders.helm import manifests, sdk
from nerv.builders.helm.charts import Chart, members, pack
from nerv.builders.helm.manifests import Manifest
from nerv.builders.helm.releases import Hook

_HOOK = b"helm.sh/hook"
_HIDDEN = b"helm.sh/h00k"
_LOOKUP = re.compile(rb"\blookup\s")
HELM_VERSION = "v3.17.3"
"""What templates read as `.Capabilities.HelmVersion`: the Helm whose semantics Flux 2.6 has."""


@dataclass(frozen=True)
class Capabilities:
    """What a cluster can do: `v1.31.9`, and the API versions it serves (`apps/v1`, `apps/v1/Deployment`)."""

    kube_version: str
    api_versions: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Rendered:
    """A rendered chart: objects in the order of installation, hooks, and the text of NOTES.txt."""

    manifests: tuple[Manifest, ...] = field(repr=False)
    hooks: tuple[Hook, ...]
    notes: str = field(repr=False)

    @property
    def text(self) -> str:
        """What a release stores as its manifest."""
        return manifests.join(self.manifests)


async def render(
    chart: Chart,
    *,
    name: str,
    namespace: str,
    values: Mapping[str, Any],
    capabilities: Capabilities,
    revision: int = 1,
    is_upgrade: bool = False,
    validate: bool = True,
    kubeconfig: str = "",
) -> Rendered:
    """Render for release `name`. `kubeconfig` (its content) lets templates `lookup` in the cluster.

    Raises sdk.HelmError: a template that fails, values that break the chart's schema, a Kubernetes version that the
    chart does not support.
    """

    def work() -> Rendered:
        archive, looks_up = _prepare(chart.archive, _preamble(capabilities, revision, is_upgrade))
        options: dict[str, Any] = {
            "namespace": namespace,
            "dry_run": "client",
            "kube_version": capabilities.kube_version,
            "api_versions": list(capabilities.api_versions),
            "skip_schema_validation": not validate,
        }
        if looks_up and kubeconfig:
            # only a dry run on the server's side looks up; it must not refuse what exists already
            options |= {"dry_run": "server", "take_ownership": True, "skip_crds": True}
        given = json.loads(json.dumps(values).replace(_HOOK.decode(), _HIDDEN.decode()))
        try:
            summary = sdk.install_dry_run(archive, name, given, options, kubeconfig)
        except sdk.HelmError as error:
            raise sdk.HelmError(_shown(error.message)) from None
        found = manifests.read(_shown(summary.get("manifest", "")))
        plain, hooks = manifests.separate(found)
        return Rendered(tuple(plain), hooks, _shown(summary.get("notes", "")))

    return await sdk.call(work)


def _shown(text: str) -> str:
    return text.replace(_HIDDEN.decode(), _HOOK.decode())


def _preamble(capabilities: Capabilities, revision: int, is_upgrade: bool) -> bytes:
    """Statements that put the truth into the context of a template; running them again changes nothing."""
    upgrade, install = ("true", "false") if is_upgrade else ("false", "true")
    own = f"(slice .Capabilities.APIVersions (sub (len .Capabilities.APIVersions) {len(capabilities.api_versions)}))"
    helm = f'(dict "Version" "{HELM_VERSION}" "GitCommit" "" "GitTreeState" "clean" "GoVersion" "")'
    dictionary = f'(dict "KubeVersion" .Capabilities.KubeVersion "HelmVersion" {helm} "APIVersions" {own})'
    release = f'(set (set (set .Release "IsUpgrade" {upgrade}) "IsInstall" {install}) "Revision" {revision})'
    return f'{{{{ $_ := {release} }}}}{{{{ $_ = set . "Capabilities" {dictionary} }}}}'.encode()


def _prepare(archive: bytes, preamble: bytes) -> tuple[bytes, bool]:
    """The changed archive, and whether any template looks up objects of the cluster."""
    changed: dict[str, bytes] = {}
    looks_up = False
    for path, data in members(archive):
        if path.startswith("charts/") and path.endswith((".tgz", ".tar.gz")) and path.count("/") == 1:
            changed[path], inner = _prepare(data, preamble)
            looks_up |= inner
            continue
        text = data.replace(_HOOK, _HIDDEN)
        if "templates/" in path:
            looks_up |= bool(_LOOKUP.search(text))
            if _is_executed(path):
                text = preamble + text
        changed[path] = text
    return pack("chart", changed, level=1), looks_up


def _is_executed(path: str) -> bool:
    """Whether Helm runs the file: a template (of the chart or an unpacked dependency), but no partial."""
    folders = path.split("/")
    return not folders[-1].startswith("_") and "templates" in folders[0:1] + folders[2:3] + folders[4:5]
