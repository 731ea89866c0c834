"""Flux's controllers: Deployments, Services, ServiceAccounts, as `flux install` 2.6 makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nerv.components.objects import Object, metadata
from nerv.platform.versions import FLUX_COMPONENTS, FLUX_REGISTRY

NAMESPACE = "flux-system"
_EVENTS = f"--events-addr=http://notification-controller.{NAMESPACE}.svc.cluster.local./"
_COMMON = ("--watch-all-namespaces=true", "--log-level=info", "--log-encoding=json", "--enable-leader-election")
_METRICS = ("http-prom", 8080)
_HEALTH = ("healthz", 9440)
_HTTP = ("http", 9090)


@dataclass(frozen=True)
class Controller:
    """What sets one controller apart from the others."""

    name: str
    arguments: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    readiness: tuple[str, str]
    """Path and port."""
    grace_seconds: int
    critical: bool
    """Runs with system-cluster-critical."""
    cpu_request: str = "100m"
    volumes: tuple[tuple[str, str], ...] = (("temp", "/tmp"),)
    """emptyDir volumes: name and mount path."""
    environment: tuple[tuple[str, str], ...] = ()
    recreate: bool = False
    """Its storage has one writer, so the old pod ends before the new one begins."""
    services: tuple[tuple[str, str], ...] = ()
    """Service name and port that it leads to."""

    @property
    def image(self) -> str:
        """Name and pinned tag."""
        return f"{FLUX_REGISTRY}/{self.name}:{FLUX_COMPONENTS[self.name]}"


CONTROLLERS = (
    Controller(
        name="source-controller",
        arguments=(
            _EVENTS,
            *_COMMON,
            "--storage-path=/data",
            "--storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.cluster.local.",
        ),
        ports=(_HTTP, _METRICS, _HEALTH),
        readiness=("/", "http"),
        grace_seconds=10,
        critical=True,
        cpu_request="50m",
        volumes=(("data", "/data"), ("tmp", "/tmp")),
        environment=(("TUF_ROOT", "/tmp/.sigstore"),),
        recreate=True,
        services=(("source-controller", "http"),),
    ),
    Controller(
        name="kustomize-controller",
        arguments=(_EVENTS, *_COMMON),
        ports=(_METRICS, _HEALTH),
        readiness=("/readyz", "healthz"),
        grace_seconds=60,
        critical=True,
    ),
    Controller(
        name="helm-controller",
        arguments=(_EVENTS, *_COMMON),
        ports=(_METRICS, _HEALTH),
        readiness=("/readyz", "healthz"),
        grace_seconds=600,
        critical=True,
    ),
    Controller(
        name="notification-controller",
        arguments=_COMMON,
        ports=(_HTTP, ("http-webhook", 9292), _METRICS, _HEALTH),
        readiness=("/readyz", "healthz"),
        grace_seconds=10,
        critical=False,
        services=(("notification-controller", "http"), ("webhook-receiver", "http-webhook")),
    ),
)


def objects(controller: Controller, labels: dict[str, str]) -> list[Object]:
    """ServiceAccount, Services and Deployment of one controller; `labels` are those of the whole installation."""
    own = {**labels, "app.kubernetes.io/component": controller.name}
    account: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(controller.name, NAMESPACE, labels=own),
    }
    services = [_service(controller, name, port, own) for name, port in controller.services]
    return [account, *services, _deployment(controller, own)]


def _service(controller: Controller, name: str, port: str, labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, NAMESPACE, labels={**labels, "control-plane": "controller"}),
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": controller.name},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": port}],
        },
    }


def _deployment(controller: Controller, labels: dict[str, str]) -> Object:
    pod: dict[str, Any] = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        **({"priorityClassName": "system-cluster-critical"} if controller.critical else {}),
        "securityContext": {"fsGroup": 1337},
        "serviceAccountName": controller.name,
        "terminationGracePeriodSeconds": controller.grace_seconds,
        "containers": [_container(controller)],
        "volumes": [{"name": name, "emptyDir": {}} for name, _ in controller.volumes],
    }
    template = {
        "metadata": {
            "annotations": {"prometheus.io/port": "8080", "prometheus.io/scrape": "true"},
            "labels": {**labels, "app": controller.name},
        },
        "spec": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(controller.name, NAMESPACE, labels={**labels, "control-plane": "controller"}),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": controller.name}},
            **({"strategy": {"type": "Recreate"}} if controller.recreate else {}),
            "template": template,
        },
    }


def _container(controller: Controller) -> dict[str, Any]:
    path, port = controller.readiness
    return {
        "name": "manager",
        "image": controller.image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(controller.arguments),
        "env": [
            {"name": "RUNTIME_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            *({"name": name, "value": value} for name, value in controller.environment),
            # the Go runtime keeps inside the container's limits
            *(
                {"name": name, "valueFrom": {"resourceFieldRef": {"containerName": "manager", "resource": limit}}}
                for name, limit in (("GOMAXPROCS", "limits.cpu"), ("GOMEMLIMIT", "limits.memory"))
            ),
        ],
        "ports": [{"name": name, "containerPort": number, "protocol": "TCP"} for name, number in controller.ports],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "healthz"}},
        "readinessProbe": {"httpGet": {"path": path, "port": port}},
        "resources": {
            "limits": {"cpu": "1000m", "memory": "1Gi"},
            "requests": {"cpu": controller.cpu_request, "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": name, "mountPath": mount} for name, mount in controller.volumes],
    }
