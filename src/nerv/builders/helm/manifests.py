"""Rendered text to single manifests: splitting, Helm's order of kinds, and what is a hook.

Facts: https://helm.sh/docs/topics/charts_hooks/ and the install order of Helm 3.17.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nerv.builders.helm import sdk
from nerv.builders.helm.releases import Hook

INSTALL_ORDER = (
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
)
_POSITIONS = {kind: position for position, kind in enumerate(INSTALL_ORDER)}
_UNINSTALL_POSITIONS = {kind: -position for position, kind in enumerate(INSTALL_ORDER)}

_EVENTS = (
    "pre-install",
    "post-install",
    "pre-delete",
    "post-delete",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "test",
)
_SEPARATOR = re.compile(r"(?:^|\s*\n)---[ \t]*(?=\n|$)")
_SOURCE = re.compile(r"\A\s*# Source: (\S+)\n")


@dataclass(frozen=True)
class Manifest:
    """One document of a template: its path in the chart, its text, and the object that the text says."""

    path: str
    text: str
    object: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.object.get("kind") or "")

    @property
    def annotations(self) -> dict[str, Any]:
        """The object's annotations, or nothing."""
        metadata = self.object.get("metadata")
        found = metadata.get("annotations") if isinstance(metadata, dict) else None
        return found if isinstance(found, dict) else {}


def split(text: str) -> list[str]:
    """The documents of a text, without separators and surrounding white space; those of white space alone left out."""
    return [part.strip() for part in _SEPARATOR.split(text.strip()) if part.strip()]


def read(text: str) -> list[Manifest]:
    """The documents of a rendered chart, each headed by its `# Source:`. Blocks; raises sdk.HelmError."""
    found: list[tuple[str, str]] = []
    path = ""
    for document in split(text):
        source = _SOURCE.match(f"{document}\n")
        content = document
        if source:
            path = source.group(1)
            content = document[source.end() :].strip()
        if content:
            found.append((path, content))
    objects = sdk.parse_yaml([content for _, content in found])
    return [Manifest(*each, obj) for each, obj in zip(found, objects, strict=True) if obj]


def join(manifests: Iterable[Manifest]) -> str:
    """The text that a release stores."""
    return "".join(f"---\n# Source: {manifest.path}\n{manifest.text}\n" for manifest in manifests)


def in_order(manifests: Iterable[Manifest], *, uninstall: bool = False) -> list[Manifest]:
    """By kind, as they are installed or uninstalled; unknown kinds last, by name; otherwise the order stays."""
    positions = _UNINSTALL_POSITIONS if uninstall else _POSITIONS
    return sorted(manifests, key=lambda each: (each.kind not in positions, positions.get(each.kind, 0), _rest(each)))


def _rest(manifest: Manifest) -> str:
    return "" if manifest.kind in _POSITIONS else manifest.kind


def separate(manifests: Sequence[Manifest]) -> tuple[list[Manifest], tuple[Hook, ...]]:
    """What is installed as the release, in order, and the hooks, in order. Unknown hooks are neither."""
    plain = [manifest for manifest in manifests if "helm.sh/hook" not in manifest.annotations]
    hooks = [_hook(manifest) for manifest in in_order(manifests) if "helm.sh/hook" in manifest.annotations]
    return in_order(plain), tuple(hook for hook in hooks if hook is not None)


def _hook(manifest: Manifest) -> Hook | None:
    annotations = manifest.annotations
    events = _list(annotations["helm.sh/hook"])
    # Helm 2's name for the same thing
    events = tuple("test" if event == "test-success" else event for event in events)
    if any(event not in _EVENTS for event in events):
        return None
    weight = str(annotations.get("helm.sh/hook-weight", ""))
    policies = annotations.get("helm.sh/hook-delete-policy")
    return Hook(
        name=str((manifest.object.get("metadata") or {}).get("name") or ""),
        kind=manifest.kind,
        path=manifest.path,
        manifest=manifest.text,
        events=events,
        weight=int(weight) if re.fullmatch(r"[-+]?\d+", weight) else 0,
        delete_policies=_list(policies) if policies is not None else (),
    )


def _list(text: Any) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in str(text).split(","))
