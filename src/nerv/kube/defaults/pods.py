"""Defaults of pods and of the pod templates in workloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Spec = dict[str, Any]

_MODE: Final = 0o644  # written as 420 in the API


def pod(obj: Spec) -> None:
    """A pod. Unlike a template it also gets requests from its limits, and service links."""
    spec = obj.setdefault("spec", {})
    for container in containers(spec):
        resources = container.setdefault("resources", {})
        if resources.get("limits"):
            resources["requests"] = resources["limits"] | (resources.get("requests") or {})
    spec.setdefault("enableServiceLinks", True)
    pod_spec(spec)


def template(owner: Mapping[str, Any]) -> None:
    """The pod template in the spec of a workload."""
    found = owner.get("template")
    if isinstance(found, dict):
        found.setdefault("metadata", {}).setdefault("creationTimestamp", None)
        pod_spec(found.setdefault("spec", {}))


def containers(spec: Mapping[str, Any]) -> Iterator[Spec]:
    """All containers of a pod: init, main, ephemeral."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def pod_spec(spec: Spec) -> None:
    """What pods and templates have in common."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for item in containers(spec):
        _container(item, bool(spec.get("hostNetwork")))
    for item in spec.get("volumes") or ():
        volume(item)


def _container(item: Spec, host_network: bool) -> None:
    item.setdefault("terminationMessagePath", "/dev/termination-log")
    item.setdefault("terminationMessagePolicy", "File")
    item.setdefault("resources", {})
    item.setdefault("imagePullPolicy", pull_policy(item.get("image") or ""))
    for port in item.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network:
            port.setdefault("hostPort", port.get("containerPort"))
    for variable in item.get("env") or ():
        _field_reference(variable.get("valueFrom") or {})
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if item.get(kind) is not None:
            _probe(item[kind])
    for hook in (item.get("lifecycle") or {}).values():
        _http(hook or {})


def pull_policy(image: str) -> str:
    """Always for the tag `latest` or none; a digest or another tag is pulled once."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    tag = name.rpartition(":")[2] if ":" in name else "latest"
    return "Always" if tag == "latest" else "IfNotPresent"


def _probe(probe: Spec) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _http(probe)
    if isinstance(probe.get("grpc"), dict):
        probe["grpc"].setdefault("service", "")


def _http(handler: Spec) -> None:
    request = handler.get("httpGet")
    if isinstance(request, dict):
        request.setdefault("path", "/")
        request.setdefault("scheme", "HTTP")


def _field_reference(source: Mapping[str, Any]) -> None:
    reference = source.get("fieldRef")
    if isinstance(reference, dict):
        reference.setdefault("apiVersion", "v1")


def volume(item: Spec) -> None:
    """A volume without any source is an emptyDir."""
    if set(item) <= {"name"}:
        item["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(item.get(kind), dict):
            item[kind].setdefault("defaultMode", _MODE)
    if isinstance(item.get("hostPath"), dict):
        item["hostPath"].setdefault("type", "")
    for entry in (item.get("downwardAPI") or {}).get("items") or ():
        _field_reference(entry)
    for source in (item.get("projected") or {}).get("sources") or ():
        if isinstance(source.get("serviceAccountToken"), dict):
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for entry in (source.get("downwardAPI") or {}).get("items") or ():
            _field_reference(entry)
    claim = (item.get("ephemeral") or {}).get("volumeClaimTemplate")
    if isinstance(claim, dict):
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
