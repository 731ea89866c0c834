"""The workloads that Longhorn's manager and driver deployer create at run time. Pure.

Facts of controller/*.go and csi/deployment.go of longhorn-manager 1.9.1, as far as they are seen in the API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nerv.controllers.services.storage import resources
from nerv.kube.objects import Object

_SOCKET = "/csi/csi.sock"
_TOLERATION_ANNOTATION = f"{resources.GROUP}/last-applied-tolerations"


@dataclass(frozen=True)
class Placement:
    """What settings say about the pods of the system."""

    namespace: str
    account: str = resources.SERVICE_ACCOUNT
    priority_class: str = ""
    pull_policy: str = "IfNotPresent"
    registry_secret: str = ""
    tolerations: Sequence[Object] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)

    def spec(self, containers: list[Object], **more: Any) -> Object:
        """A pod's spec."""
        spec: Object = {"serviceAccountName": self.account, "containers": containers, **more}
        if self.priority_class:
            spec["priorityClassName"] = self.priority_class
        if self.registry_secret:
            spec["imagePullSecrets"] = [{"name": self.registry_secret}]
        if self.tolerations:
            spec["tolerations"] = list(self.tolerations)
        if self.node_selector:
            spec["nodeSelector"] = dict(self.node_selector)
        return spec

    def metadata(self, name: str, labels: Mapping[str, str]) -> Object:
        """Metadata with the annotation by which the manager sees changed tolerations."""
        annotations = {_TOLERATION_ANNOTATION: json.dumps(list(self.tolerations))}
        return {"name": name, "namespace": self.namespace, "labels": dict(labels), "annotations": annotations}


def engine_image(place: Placement, image: str, owner: Object) -> Object:
    """The DaemonSet that brings the engine's binary to every node."""
    name = resources.engine_image(image)
    selector = {f"{resources.GROUP}/component": "engine-image", f"{resources.GROUP}/engine-image": name}
    workload = f"engine-image-{name}"
    probe = {"initialDelaySeconds": 3, "periodSeconds": 5, "timeoutSeconds": 4, "failureThreshold": 3}
    container = {
        "name": workload,
        "image": image,
        "imagePullPolicy": place.pull_policy,
        "command": ["/bin/bash"],
        "args": ["-c", "cp -p /usr/local/bin/longhorn /data/ && sleep infinity"],
        "readinessProbe": {"exec": {"command": ["sh", "-c", "/data/longhorn version --client-only"]}, **probe},
        "livenessProbe": {"exec": {"command": ["sh", "-c", "/data/longhorn version --client-only"]}, **probe},
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "data", "mountPath": "/data/"}],
    }
    path = f"/var/lib/longhorn/engine-binaries/{resources.canonical(image)}"
    spec = place.spec([container], volumes=[{"name": "data", "hostPath": {"path": path}}])
    metadata = place.metadata(workload, {**resources.MANAGED, **selector})
    metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": selector},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"metadata": {"labels": selector}, "spec": spec},
        },
    }


def instance_manager(place: Placement, node: str, image: str, owner: Object) -> Object:
    """The bare pod in which engines and replicas of a node run."""
    short = f"imi-{resources.checksum(resources.canonical(image), 8)}"
    labels = {
        **resources.MANAGED,
        f"{resources.GROUP}/component": "instance-manager",
        f"{resources.GROUP}/instance-manager-type": "aio",
        f"{resources.GROUP}/node": node,
        f"{resources.GROUP}/instance-manager-image": short,
        f"{resources.GROUP}/data-engine": "v1",
    }
    container = {
        "name": "instance-manager",
        "image": image,
        "imagePullPolicy": place.pull_policy,
        "args": ["instance-manager", "--debug", "daemon", "--listen", "0.0.0.0:8500"],
        "env": [{"name": "TLS_DIR", "value": "/tls-files/"}],
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"name": "host", "mountPath": "/host", "mountPropagation": "HostToContainer"},
            {"name": "longhorn-grpc-tls", "mountPath": "/tls-files/"},
        ],
    }
    volumes = [
        {"name": "host", "hostPath": {"path": "/"}},
        {"name": "longhorn-grpc-tls", "secret": {"secretName": "longhorn-grpc-tls", "optional": True}},
    ]
    metadata = place.metadata(resources.instance_manager(node, image), labels)
    metadata["ownerReferences"] = [owner]
    spec = place.spec([container], volumes=volumes, nodeName=node, restartPolicy="Never")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def sidecar(place: Placement, name: str, image: str, replicas: int, root: str) -> Object:
    """One of the four controllers of CSI, `csi-attacher` and so on."""
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": place.pull_policy,
        "args": ["--v=2", "--csi-address=$(ADDRESS)", "--timeout=1m50s", "--leader-election"],
        "env": [
            {"name": "ADDRESS", "value": _SOCKET},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "ports": [{"name": name[:15], "containerPort": 8000}],
        "volumeMounts": [{"name": "socket-dir", "mountPath": "/csi/"}],
    }
    apart = {
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": [name]}]},
        "topologyKey": "kubernetes.io/hostname",
    }
    preferred = [{"weight": 1, "podAffinityTerm": apart}]
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    spec = place.spec(
        [container], affinity=affinity, volumes=[_host("socket-dir", f"{root}/plugins/{resources.DRIVER}")]
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": place.metadata(name, {**resources.MANAGED, "app": name}),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


def plugin(place: Placement, images: Mapping[str, str], manager_url: str, root: str) -> Object:
    """The DaemonSet of the CSI plugin: registrar, liveness probe, and the driver in the manager's image."""
    name = "longhorn-csi-plugin"
    address = {"name": "ADDRESS", "value": _SOCKET}
    socket = {"name": "socket-dir", "mountPath": "/csi/"}
    registrar = {
        "name": "node-driver-registrar",
        "image": images["CSI_NODE_DRIVER_REGISTRAR_IMAGE"],
        "args": [
            "--v=2",
            "--csi-address=$(ADDRESS)",
            f"--kubelet-registration-path={root}/plugins/{resources.DRIVER}/csi.sock",
        ],
        "env": [address],
        "securityContext": {"privileged": True},
        "volumeMounts": [socket, {"name": "registration-dir", "mountPath": "/registration"}],
    }
    liveness = {
        "name": "longhorn-liveness-probe",
        "image": images["CSI_LIVENESS_PROBE_IMAGE"],
        "args": ["--v=4", f"--csi-address={_SOCKET}"],
        "volumeMounts": [socket],
    }
    driver = {
        "name": name,
        "image": images["MANAGER_IMAGE"],
        "args": [
            "longhorn-manager",
            "-d",
            "csi",
            "--nodeid=$(NODE_ID)",
            "--endpoint=$(CSI_ENDPOINT)",
            f"--drivername={resources.DRIVER}",
            f"--manager-url={manager_url}",
        ],
        "env": [
            {"name": "NODE_ID", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "CSI_ENDPOINT", "value": f"unix://{_SOCKET}"},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "ports": [{"containerPort": 9808, "protocol": "TCP"}],
        "securityContext": {
            "privileged": True,
            "allowPrivilegeEscalation": True,
            "capabilities": {"add": ["SYS_ADMIN"]},
        },
        "volumeMounts": [socket, {"name": "host", "mountPath": "/rootfs"}],
    }
    containers = [{**each, "imagePullPolicy": place.pull_policy} for each in (registrar, liveness, driver)]
    volumes = [
        _host("socket-dir", f"{root}/plugins/{resources.DRIVER}"),
        _host("registration-dir", f"{root}/plugins_registry"),
        {"name": "host", "hostPath": {"path": "/"}},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": place.metadata(name, resources.MANAGED),
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": place.spec(containers, volumes=volumes)},
        },
    }


def _host(name: str, path: str) -> Object:
    return {"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}


def csi_driver() -> Object:
    """The CSIDriver object."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": resources.DRIVER},
        "spec": {"attachRequired": True, "podInfoOnMount": True},
    }
