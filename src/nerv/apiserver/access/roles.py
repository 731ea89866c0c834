"""The roles and bindings that every cluster has, and that charts and people rely on.

Names and meaning: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nerv.kube import selectors
from nerv.kube.objects import Object

_API = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_ALL = ["*"]
BOOTSTRAP = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_UPDATED = {"rbac.authorization.kubernetes.io/autoupdate": "true"}


def _rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> Object:
    rule: Object = {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
    if names:
        rule["resourceNames"] = list(names)
    return rule


def _paths(*paths: str) -> Object:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


def _role(name: str, rules: Sequence[Object], labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {**BOOTSTRAP, **(labels or {})}, "annotations": dict(_UPDATED)},
        "rules": list(rules),
    }


def _aggregated(name: str, labels: dict[str, str] | None = None) -> Object:
    role = _role(name, (), labels)
    del role["rules"]
    role["aggregationRule"] = {
        "clusterRoleSelectors": [{"matchLabels": {f"{_API}/aggregate-to-{name}": "true"}}],
    }
    return role


def _to(name: str) -> dict[str, str]:
    return {f"{_API}/aggregate-to-{name}": "true"}


def _binding(name: str, role: str, *subjects: Object) -> Object:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": dict(BOOTSTRAP), "annotations": dict(_UPDATED)},
        "roleRef": {"apiGroup": _API, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def _group(name: str) -> Object:
    return {"apiGroup": _API, "kind": "Group", "name": name}


_CORE_OBJECTS = [
    "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
    "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status",
]  # fmt: skip
_CORE_STATUS = [
    "bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status",
    "replicationcontrollers/status", "resourcequotas", "resourcequotas/status",
]  # fmt: skip
_APPS = [
    "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale",
    "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets",
    "statefulsets/scale", "statefulsets/status",
]  # fmt: skip
_APPS_WRITE = [
    "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale",
    "statefulsets", "statefulsets/scale",
]  # fmt: skip
_VIEW = (
    _rule([""], _CORE_OBJECTS, _READ),
    _rule([""], _CORE_STATUS, _READ),
    _rule([""], ["namespaces"], _READ),
    _rule(["discovery.k8s.io"], ["endpointslices"], _READ),
    _rule(["apps"], _APPS, _READ),
    _rule(["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"], _READ),
    _rule(["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"], _READ),
    _rule(["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"], _READ),
    _rule(["networking.k8s.io"], ["ingresses", "ingresses/status", "networkpolicies"], _READ),
)
_EDIT = (
    _rule([""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"], _READ),
    _rule([""], ["serviceaccounts"], ["impersonate"]),
    _rule([""], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], _WRITE),
    _rule([""], ["pods/eviction", "serviceaccounts/token"], ["create"]),
    _rule([""], [item for item in _CORE_OBJECTS if "status" not in item and item != "pods"], _WRITE),
    _rule([""], ["events", "secrets", "services/proxy"], _WRITE),
    _rule(["apps"], _APPS_WRITE, _WRITE),
    _rule(["autoscaling"], ["horizontalpodautoscalers"], _WRITE),
    _rule(["batch"], ["cronjobs", "jobs"], _WRITE),
    _rule(["policy"], ["poddisruptionbudgets"], _WRITE),
    _rule(["networking.k8s.io"], ["ingresses", "networkpolicies"], _WRITE),
    _rule(["coordination.k8s.io"], ["leases"], [*_READ, *_WRITE]),
)
_ADMIN = (
    _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    _rule([_API], ["roles", "rolebindings"], [*_READ, *_WRITE]),
)
_NODE = (
    _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
    _rule(["authorization.k8s.io"], ["localsubjectaccessreviews", "subjectaccessreviews"], ["create"]),
    _rule([""], ["services"], _READ),
    _rule([""], ["nodes"], ["create", *_READ, "patch", "update"]),
    _rule([""], ["nodes/status"], ["patch", "update"]),
    _rule([""], ["events"], ["create", "patch", "update"]),
    _rule([""], ["pods"], [*_READ, "create", "delete"]),
    _rule([""], ["pods/status"], ["patch", "update"]),
    _rule([""], ["pods/eviction", "serviceaccounts/token"], ["create"]),
    _rule([""], ["configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts"], _READ),
    _rule(["certificates.k8s.io"], ["certificatesigningrequests"], ["create", *_READ]),
    _rule(["coordination.k8s.io"], ["leases"], ["create", "delete", "get", "patch", "update"]),
    _rule(["storage.k8s.io"], ["csidrivers", "csinodes", "volumeattachments"], [*_READ, *_WRITE]),
    _rule(["node.k8s.io"], ["runtimeclasses"], _READ),
)
_REVIEWS = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]

CLUSTER_ROLES: tuple[Object, ...] = (
    _role("cluster-admin", [_rule(_ALL, _ALL, _ALL), {"nonResourceURLs": _ALL, "verbs": _ALL}]),
    _aggregated("admin"),
    _aggregated("edit", _to("admin")),
    _aggregated("view", _to("edit")),
    _role("system:aggregate-to-admin", _ADMIN, _to("admin")),
    _role("system:aggregate-to-edit", _EDIT, _to("edit")),
    _role("system:aggregate-to-view", _VIEW, _to("view")),
    _role(
        "system:basic-user",
        [
            _rule(["authorization.k8s.io"], _REVIEWS, ["create"]),
            _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
        ],
    ),
    _role(
        "system:discovery",
        [
            _paths("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"),
            _paths("/version", "/version/"),
        ],
    ),
    _role("system:public-info-viewer", [_paths("/healthz", "/livez", "/readyz", "/version", "/version/")]),
    _role(
        "system:service-account-issuer-discovery",
        [_paths("/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks")],
    ),
    _role(
        "system:auth-delegator",
        [
            _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
            _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
        ],
    ),
    _role("system:node", _NODE),
    _role("system:monitoring", [_paths("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz")]),
    _role(
        "system:kubelet-api-admin",
        [
            _rule([""], ["nodes"], ["get", "list", "watch", "proxy"]),
            _rule([""], ["nodes/log", "nodes/metrics", "nodes/proxy", "nodes/stats"], _ALL),
        ],
    ),
    _role(
        "system:persistent-volume-provisioner",
        [
            _rule([""], ["persistentvolumes"], ["create", "delete", *_READ]),
            _rule([""], ["persistentvolumeclaims"], [*_READ, "update"]),
            _rule(["storage.k8s.io"], ["storageclasses"], _READ),
            _rule([""], ["events"], ["create", "patch", "update", "watch"]),
        ],
    ),
)
CLUSTER_ROLE_BINDINGS: tuple[Object, ...] = (
    _binding("cluster-admin", "cluster-admin", _group("system:masters")),
    _binding("system:basic-user", "system:basic-user", _group("system:authenticated")),
    _binding("system:discovery", "system:discovery", _group("system:authenticated")),
    _binding(
        "system:public-info-viewer",
        "system:public-info-viewer",
        _group("system:authenticated"),
        _group("system:unauthenticated"),
    ),
    _binding(
        "system:service-account-issuer-discovery",
        "system:service-account-issuer-discovery",
        _group("system:serviceaccounts"),
    ),
    _binding("system:node", "system:node", _group("system:nodes")),
    _binding("system:monitoring", "system:monitoring", _group("system:monitoring")),
)


def rules_of(role: Object, others: Sequence[Object]) -> list[Any]:
    """The rules that an aggregated role has: those of all others that its selectors choose, each once."""
    chosen = [selectors.from_object(item) for item in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    rules: list[Any] = []
    for other in sorted(others, key=lambda item: str(item["metadata"]["name"])):
        if other["metadata"]["name"] == role["metadata"]["name"]:
            continue
        if any(selector.matches(other["metadata"].get("labels") or {}) for selector in chosen):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
