"""Defaults of the core group, networking and storage."""

from __future__ import annotations

import base64
from typing import Any, Final

Spec = dict[str, Any]

_AFFINITY_SECONDS: Final = 10800


def service(obj: Spec) -> None:
    """A cluster address, no affinity; each port targets its own number."""
    spec = obj.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    if spec.setdefault("sessionAffinity", "None") == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", _AFFINITY_SECONDS)
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port")
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def secret(obj: Spec) -> None:
    """Opaque; `stringData` moves into `data` and is never stored."""
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in plain.items()}
        obj["data"] = (obj.get("data") or {}) | encoded


def namespace(obj: Spec) -> None:
    """The label by which selectors find a namespace by name."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("name"):
        metadata["labels"] = (metadata.get("labels") or {}) | {"kubernetes.io/metadata.name": metadata["name"]}


def endpoints(obj: Spec) -> None:
    """TCP."""
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def endpoint_slice(obj: Spec) -> None:
    """TCP, and a port without a name has the empty one."""
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def volume(obj: Spec) -> None:
    """A file system, kept when its claim goes."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"].setdefault("type", "")


def claim(obj: Spec) -> None:
    """A file system."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    for field in ("dataSource", "dataSourceRef"):
        other = "dataSourceRef" if field == "dataSource" else "dataSource"
        if spec.get(field) and not spec.get(other) and not spec[field].get("namespace"):
            spec[other] = dict(spec[field])


def storage_class(obj: Spec) -> None:
    """Volumes go with their claim and are bound at once."""
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def csi_driver(obj: Spec) -> None:
    """The choices of a driver that says nothing."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("attachRequired", True)
    spec.setdefault("podInfoOnMount", False)
    spec.setdefault("storageCapacity", False)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]
    spec.setdefault("requiresRepublish", False)
    spec.setdefault("seLinuxMount", False)


def ingress_class(obj: Spec) -> None:
    """Parameters live in the cluster."""
    parameters = obj.get("spec", {}).get("parameters")
    if isinstance(parameters, dict):
        parameters.setdefault("scope", "Cluster")


def network_policy(obj: Spec) -> None:
    """Ingress always, egress when the policy speaks of it; TCP."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            port.setdefault("protocol", "TCP")


def limit_range(obj: Spec) -> None:
    """For containers: limits default to the maximum, requests to the limits, then to the minimum."""
    for item in obj.get("spec", {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        default = dict(item.get("max") or {}) | (item.get("default") or {})
        request = dict(item.get("min") or {}) | default | (item.get("defaultRequest") or {})
        for field, value in (("default", default), ("defaultRequest", request)):
            if value:
                item[field] = value
