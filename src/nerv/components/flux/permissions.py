"""What Flux's controllers may do, and what its kinds add to the roles view, edit and admin."""

from __future__ import annotations

from typing import Any

from nerv.components.flux.controllers import NAMESPACE
from nerv.components.objects import Object, metadata

_API = "rbac.authorization.k8s.io"
_GROUPS = tuple(f"{group}.toolkit.fluxcd.io" for group in ("notification", "source", "helm", "image", "kustomize"))
_READ = ["get", "list", "watch"]
# All controllers of Flux, also those that are not installed: adding one needs no change of permissions.
_ACCOUNTS = (
    "kustomize-controller",
    "helm-controller",
    "source-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
)


def objects(labels: dict[str, str]) -> list[Object]:
    """ClusterRoles and ClusterRoleBindings."""
    aggregated = {f"{_API}/aggregate-to-{role}": "true" for role in ("admin", "edit")}
    view = {**aggregated, f"{_API}/aggregate-to-view": "true"}
    write = ["create", "delete", "deletecollection", "patch", "update"]
    return [
        _role(f"crd-controller-{NAMESPACE}", _controller_rules(), labels),
        _role(f"flux-edit-{NAMESPACE}", [_rule(group, ["*"], write) for group in _GROUPS], {**labels, **aggregated}),
        _role(f"flux-view-{NAMESPACE}", [_rule(group, ["*"], _READ) for group in _GROUPS], {**labels, **view}),
        # what is in the repository may be anything, so who applies it may do anything
        _binding(f"cluster-reconciler-{NAMESPACE}", "cluster-admin", _ACCOUNTS[:2], labels),
        _binding(f"crd-controller-{NAMESPACE}", f"crd-controller-{NAMESPACE}", _ACCOUNTS, labels),
    ]


def _controller_rules() -> list[dict[str, Any]]:
    everything = [*_READ, "create", "update", "patch", "delete"]
    return [
        *(_rule(group, ["*"], ["*"]) for group in _GROUPS),
        _rule("", ["namespaces", "secrets", "configmaps", "serviceaccounts"], _READ),
        _rule("", ["events"], ["create", "patch"]),
        _rule("", ["configmaps"], everything),
        _rule("", ["configmaps/status"], ["get", "update", "patch"]),
        _rule("coordination.k8s.io", ["leases"], everything),
        {"nonResourceURLs": ["/livez/ping"], "verbs": ["head"]},
    ]


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _role(name: str, rules: list[dict[str, Any]], labels: dict[str, str]) -> Object:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": metadata(name, labels=labels),
        "rules": rules,
    }


def _binding(name: str, role: str, accounts: tuple[str, ...], labels: dict[str, str]) -> Object:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name, labels=labels),
        "roleRef": {"apiGroup": _API, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE} for account in accounts],
    }
