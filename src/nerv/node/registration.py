"""A node's Node object and lease, as the kubelet keeps them (kubelet_node_status.go, nodelease; version 1.31)."""

from __future__ import annotations

import logging
import os
import platform
import uuid

from nerv.kube import errors, objects
from nerv.kube.objects import Object, micro_timestamp
from nerv.kube.resources import LEASES, NODES
from nerv.node.context import NodeContext

_log = logging.getLogger(__name__)
KUBELET_PORT = 10250
_LEASE_NAMESPACE = "kube-node-lease"
_NAMESPACE = uuid.UUID("6c1f6f0e-6a59-4b0c-9a5e-6f3c0a1f7d11")
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


async def register(context: NodeContext) -> Object:
    """Create the Node, or bring labels and status of the one that exists up to date. Returns it."""
    wanted = node_object(context)
    try:
        node = await context.client.create(NODES, wanted)
        context.events.event(node, "Normal", "Starting", "Starting kubelet.")
    except errors.AlreadyExists:
        changes = {"metadata": {"labels": wanted["metadata"]["labels"]}}
        node = await context.client.patch(NODES, context.config.name, None, changes)
    return await write_status(context, node)


async def write_status(context: NodeContext, node: Object) -> Object:
    """Write addresses, capacity and healthy conditions."""
    status = node_status(context, node)
    return await context.client.patch(NODES, context.config.name, None, {"status": status}, subresource="status")


async def keep_alive(context: NodeContext, node: Object) -> None:
    """Renew the lease until cancelled, a quarter of its time before others would worry, and the status now and then.

    A node that was given up while it did not answer (a machine that slept) has its status written anew: a lease alone
    does not make it Ready again.
    """
    interval = context.config.lease_seconds / 4
    nodes = context.informers.of(NODES)
    until_status = context.config.status_interval
    while True:
        try:
            await _renew(context, node)
            seen = nodes.get(None, context.config.name)
            if until_status <= 0 or (seen is not None and not objects.is_true(seen, "Ready")):
                node = await write_status(context, node)
                until_status = context.config.status_interval
        except (errors.ApiError, OSError) as error:
            _log.warning("node %s: lease not renewed: %s", context.config.name, error)
        until_status -= interval
        await context.sleep(interval)


async def _renew(context: NodeContext, node: Object) -> None:
    name = context.config.name
    now = micro_timestamp(context.clock.now())
    spec = {"holderIdentity": name, "leaseDurationSeconds": context.config.lease_seconds, "renewTime": now}
    try:
        await context.client.patch(LEASES, name, _LEASE_NAMESPACE, {"spec": spec})
    except errors.NotFound:
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        lease = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": name, "namespace": _LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": spec,
        }
        await context.client.create(LEASES, lease)


def node_object(context: NodeContext) -> Object:
    """The Node as it is created."""
    config = context.config
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    labels = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": "linux",
        **{f"node-role.kubernetes.io/{role}": "true" for role in config.roles},
        **config.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.name, "labels": labels, "annotations": {"nerv.dev/simulated-machine": "true"}},
        "spec": {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr], "providerID": f"nerv://{config.name}"},
    }


def node_status(context: NodeContext, node: Object) -> Object:
    """The status of a healthy node; the time of a condition's last transition stays while its status does."""
    config = context.config
    now = context.timestamp()
    before = {entry["type"]: entry for entry in node.get("status", {}).get("conditions", [])}
    conditions = []
    for type, value, reason, message in _HEALTHY:
        former = before.get(type, {})
        since = former.get("lastTransitionTime", now) if former.get("status") == value else now
        conditions.append(
            {
                "type": type,
                "status": value,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
            }
        )
    resources = {
        "cpu": str(config.cpus),
        "memory": f"{config.memory >> 10}Ki",
        "ephemeral-storage": f"{config.storage >> 10}Ki",
        "hugepages-2Mi": "0",
        "pods": str(config.max_pods),
    }
    return {
        "addresses": [
            {"type": "InternalIP", "address": config.address},
            {"type": "Hostname", "address": config.name},
        ],
        "capacity": resources,
        "allocatable": resources,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": _node_info(config.name, config.version, config.os_image),
    }


def _node_info(name: str, version: str, os_image: str) -> Object:
    identity = uuid.uuid5(_NAMESPACE, name)
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "bootID": str(uuid.uuid5(identity, str(os.getpid()))),
        "containerRuntimeVersion": "nerv://0.1.0",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": version,
        "kubeletVersion": version,
        "machineID": identity.hex,
        "operatingSystem": "linux",
        "osImage": os_image,
        "systemUUID": str(identity),
    }
