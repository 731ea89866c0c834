"""The console: a Deployment that reads the API (no Secrets) and serves pages behind a login."""

from __future__ import annotations

from typing import Any

from nerv.components import dashboards, objects
from nerv.components.console.settings import ConsoleSettings
from nerv.components.dashboards import LOGIN, Dashboard
from nerv.components.objects import Folder, Object, metadata
from nerv.components.site import Route, Site

NAMESPACE = "nerv-system"
NAME = "nerv-console"
PORT = 8000
_LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "nerv"}
_READ = ["get", "list", "watch"]
_LOGIN_FOLDER = "/etc/nerv-console"
# as Kubernetes names what the kernel names
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

ROUTES = (
    Route(
        "the route flux.<domain>",
        NAMESPACE,
        tuple(_LABELS.items()),
        PORT,
        "traefik-system",
        (("app.kubernetes.io/name", "traefik"),),
    ),
)

DASHBOARD = Dashboard("flux", NAMESPACE, NAME, 80)

# What the pages show; Secrets and ConfigMaps are not among it.
_RULES = (
    (
        "",
        "namespaces nodes pods pods/log services endpoints events persistentvolumeclaims persistentvolumes "
        "replicationcontrollers serviceaccounts",
    ),
    ("apps", "deployments replicasets statefulsets daemonsets"),
    ("batch", "jobs cronjobs"),
    ("discovery.k8s.io", "endpointslices"),
    ("events.k8s.io", "events"),
    ("networking.k8s.io", "ingresses ingressclasses networkpolicies"),
    ("storage.k8s.io", "storageclasses volumeattachments"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("source.toolkit.fluxcd.io", "*"),
    ("kustomize.toolkit.fluxcd.io", "*"),
    ("helm.toolkit.fluxcd.io", "*"),
    ("notification.toolkit.fluxcd.io", "*"),
    ("metallb.io", "*"),
    ("cert-manager.io", "*"),
    ("longhorn.io", "*"),
    ("traefik.io", "*"),
)


def apps_config(settings: ConsoleSettings, site: Site) -> Folder:
    """Everything of the console; its route needs what `apps` brings, so all of it stands here."""
    return {
        "namespace.yaml": [objects.namespace(NAMESPACE, "restricted")],
        "permissions.yaml": _permissions(),
        "deployment.yaml": [_deployment(settings, site), _service()],
        "network-policy.yaml": [_network_policy()],
        "dashboard.yaml": dashboards.objects(DASHBOARD, site),
    }


def _permissions() -> list[Object]:
    rules = [{"apiGroups": [group], "resources": names.split(), "verbs": _READ} for group, names in _RULES]
    api = "rbac.authorization.k8s.io"
    role: Object = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRole",
        "metadata": metadata(NAME, labels=_LABELS),
        "rules": rules,
    }
    binding: Object = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(NAME, labels=_LABELS),
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    account: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(NAME, NAMESPACE, labels=_LABELS),
    }
    return [account, role, binding]


def _deployment(settings: ConsoleSettings, site: Site) -> Object:
    pod = {
        "serviceAccountName": NAME,
        **_placement(site),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings)],
        "volumes": [
            # the same users as Traefik asks for: other pods can reach the console without Traefik
            {"name": "login", "secret": {"secretName": LOGIN}},
            {"name": "temporary", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(NAME, NAMESPACE, labels=_LABELS),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(_LABELS)},
            "template": {"metadata": {"labels": dict(_LABELS)}, "spec": pod},
        },
    }


def _placement(site: Site) -> Object:
    """Machines that the image is for, where there are others: NERV makes it for one architecture."""
    spec = site.platform.spec
    if len({node.architecture for node in spec.nodes}) == 1:
        return {}
    return {"nodeSelector": {"kubernetes.io/arch": ARCHITECTURES[spec.servers[0].architecture]}}


def _container(settings: ConsoleSettings) -> dict[str, Any]:
    return {
        "name": "console",
        "image": settings.image,
        # an image that was brought to the machine beforehand is used as it is
        "imagePullPolicy": "IfNotPresent",
        "args": ["console", "--listen", f"0.0.0.0:{PORT}", "--credentials", f"{_LOGIN_FOLDER}/users"],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "ports": [{"name": "http", "containerPort": PORT}],
        # the pages answer 401 without a login, so the probe asks for a connection only
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": "http"}, "initialDelaySeconds": 15, "periodSeconds": 20},
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "login", "mountPath": _LOGIN_FOLDER, "readOnly": True},
            {"name": "temporary", "mountPath": "/tmp"},
        ],
    }


def _service() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(NAME, NAMESPACE, labels=_LABELS),
        "spec": {"selector": dict(_LABELS), "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def _network_policy() -> Object:
    traefik = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(NAME, NAMESPACE, labels=_LABELS),
        "spec": {
            "podSelector": {"matchLabels": dict(_LABELS)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [traefik], "ports": [{"port": PORT, "protocol": "TCP"}]}],
        },
    }
