"""Headers and cells as the real kubectl prints them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from nerv.kube import resources, tables
from nerv.kube.objects import GroupVersionKind

Json = dict[str, Any]
NOW = datetime(2025, 7, 1, 12, 5, tzinfo=UTC)


def make(api_version: str, kind: str, **rest: Any) -> Json:
    metadata = {"name": "x", "namespace": "a", "creationTimestamp": "2025-07-01T12:00:00Z"} | rest.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata} | rest


def shown(obj: Json, wide: bool = False) -> dict[str, Any]:
    printer = tables.builtin(GroupVersionKind.of(obj))
    cells = printer.cells(obj, NOW)
    assert len(cells) == len(printer.columns)
    return {
        column.name.upper(): cell
        for column, cell in zip(printer.columns, cells, strict=True)
        if wide or not column.priority
    }


def running(**rest: Any) -> Json:
    return {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}} | rest


def pod(status: Json, spec: Json | None = None, **metadata: Any) -> Json:
    return make("v1", "Pod", spec={"containers": [{"name": "c"}]} | (spec or {}), status=status, metadata=metadata)


@pytest.mark.parametrize("resource", resources.BUILTIN, ids=lambda item: item.qualified)
def test_every_kind_prints_an_almost_empty_object(resource: resources.Resource) -> None:
    cells = shown(make(resource.api_version, resource.kind), wide=True)
    assert "x" in cells.values()


def test_pod() -> None:
    status = {"phase": "Running", "podIPs": [{"ip": "10.42.0.5"}], "containerStatuses": [running()]}
    assert shown(pod(status, {"nodeName": "nerv-1"}), wide=True) == {
        "NAME": "x",
        "READY": "1/1",
        "STATUS": "Running",
        "RESTARTS": "0",
        "AGE": "5m",
        "IP": "10.42.0.5",
        "NODE": "nerv-1",
        "NOMINATED NODE": "<none>",
        "READINESS GATES": "<none>",
    }


@pytest.mark.parametrize(
    ("obj", "status"),
    [
        (pod({"phase": "Pending"}), "Pending"),
        (pod({"phase": "Running", "containerStatuses": [running()]}, deletionTimestamp="x"), "Terminating"),
        (pod({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
        (
            pod(
                {
                    "phase": "Pending",
                    "containerStatuses": [running(ready=False, state={"waiting": {"reason": "ContainerCreating"}})],
                }
            ),
            "ContainerCreating",
        ),
        (
            pod(
                {
                    "phase": "Running",
                    "containerStatuses": [running(ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}})],
                }
            ),
            "CrashLoopBackOff",
        ),
        (
            pod(
                {
                    "phase": "Succeeded",
                    "containerStatuses": [running(ready=False, state={"terminated": {"reason": "Completed"}})],
                }
            ),
            "Completed",
        ),
        (
            pod(
                {"phase": "Failed", "containerStatuses": [running(ready=False, state={"terminated": {"exitCode": 3}})]}
            ),
            "ExitCode:3",
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]},
                {"initContainers": [{"name": "i"}, {"name": "j"}]},
            ),
            "Init:0/2",
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}],
                },
                {"initContainers": [{"name": "i"}]},
            ),
            "Init:ErrImagePull",
        ),
    ],
)
def test_pod_status(obj: Json, status: str) -> None:
    assert shown(obj)["STATUS"] == status


def test_restarts_say_when() -> None:
    restarted = running(restartCount=2, lastState={"terminated": {"finishedAt": "2025-07-01T12:04:00Z"}})
    assert shown(pod({"phase": "Running", "containerStatuses": [restarted]}))["RESTARTS"] == "2 (60s ago)"


SPEC = {
    "replicas": 2,
    "selector": {"matchLabels": {"app": "w"}},
    "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j:2"}]}},
}
WIDE = {"CONTAINERS": "c,d", "IMAGES": "i:1,j:2", "SELECTOR": "app=w"}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            make(
                "apps/v1",
                "Deployment",
                spec=SPEC,
                status={"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            ),
            {"NAME": "x", "READY": "1/2", "UP-TO-DATE": 2, "AVAILABLE": 1, "AGE": "5m"} | WIDE,
        ),
        (
            make("apps/v1", "ReplicaSet", spec=SPEC, status={"replicas": 2, "readyReplicas": 1}),
            {"NAME": "x", "DESIRED": 2, "CURRENT": 2, "READY": 1, "AGE": "5m"} | WIDE,
        ),
        (
            make("apps/v1", "StatefulSet", spec=SPEC, status={"readyReplicas": 2}),
            {"NAME": "x", "READY": "2/2", "AGE": "5m", "CONTAINERS": "c,d", "IMAGES": "i:1,j:2"},
        ),
        (
            make(
                "batch/v1",
                "Job",
                spec=SPEC | {"completions": 1},
                status={
                    "succeeded": 1,
                    "startTime": "2025-07-01T12:00:00Z",
                    "completionTime": "2025-07-01T12:00:07Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            ),
            {"NAME": "x", "STATUS": "Complete", "COMPLETIONS": "1/1", "DURATION": "7s", "AGE": "5m"} | WIDE,
        ),
        (
            make(
                "v1",
                "Service",
                spec={
                    "type": "LoadBalancer",
                    "clusterIP": "10.43.0.9",
                    "selector": {"app": "w"},
                    "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                },
                status={"loadBalancer": {"ingress": [{"ip": "192.168.1.111"}]}},
            ),
            {
                "NAME": "x",
                "TYPE": "LoadBalancer",
                "CLUSTER-IP": "10.43.0.9",
                "EXTERNAL-IP": "192.168.1.111",
                "PORT(S)": "80:30080/TCP,53/UDP",
                "AGE": "5m",
                "SELECTOR": "app=w",
            },
        ),
        (
            make(
                "v1",
                "Node",
                metadata={
                    "labels": {"node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/master": ""}
                },
                status={
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "192.168.1.10"}],
                    "nodeInfo": {
                        "kubeletVersion": "v1.31.9+k3s1",
                        "osImage": "NixOS",
                        "kernelVersion": "6.12",
                        "containerRuntimeVersion": "containerd://2",
                    },
                },
            ),
            {
                "NAME": "x",
                "STATUS": "Ready",
                "ROLES": "control-plane,master",
                "AGE": "5m",
                "VERSION": "v1.31.9+k3s1",
                "INTERNAL-IP": "192.168.1.10",
                "EXTERNAL-IP": "<none>",
                "OS-IMAGE": "NixOS",
                "KERNEL-VERSION": "6.12",
                "CONTAINER-RUNTIME": "containerd://2",
            },
        ),
        (
            make(
                "v1",
                "Event",
                type="Normal",
                reason="Pulled",
                message="done\n",
                count=3,
                source={"component": "kubelet"},
                involvedObject={"kind": "Pod", "name": "p"},
                firstTimestamp="2025-07-01T12:00:00Z",
                lastTimestamp="2025-07-01T12:04:00Z",
            ),
            {
                "LAST SEEN": "60s",
                "TYPE": "Normal",
                "REASON": "Pulled",
                "OBJECT": "pod/p",
                "SUBOBJECT": "",
                "SOURCE": "kubelet",
                "MESSAGE": "done",
                "FIRST SEEN": "5m",
                "COUNT": 3,
                "NAME": "x",
            },
        ),
        (
            make(
                "v1",
                "PersistentVolumeClaim",
                spec={"volumeName": "pv", "storageClassName": "longhorn", "volumeMode": "Filesystem"},
                status={"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
            ),
            {
                "NAME": "x",
                "STATUS": "Bound",
                "VOLUME": "pv",
                "CAPACITY": "1Gi",
                "ACCESS MODES": "RWO",
                "STORAGECLASS": "longhorn",
                "VOLUMEATTRIBUTESCLASS": "<unset>",
                "AGE": "5m",
                "VOLUMEMODE": "Filesystem",
            },
        ),
        (
            make(
                "storage.k8s.io/v1",
                "StorageClass",
                provisioner="driver.longhorn.io",
                allowVolumeExpansion=True,
                metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            ),
            {
                "NAME": "x (default)",
                "PROVISIONER": "driver.longhorn.io",
                "RECLAIMPOLICY": "Delete",
                "VOLUMEBINDINGMODE": "Immediate",
                "ALLOWVOLUMEEXPANSION": True,
                "AGE": "5m",
            },
        ),
        (
            make(
                "v1",
                "Endpoints",
                subsets=[{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)], "ports": [{"port": 80}]}],
            ),
            {"NAME": "x", "ENDPOINTS": "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...", "AGE": "5m"},
        ),
        (
            make("networking.k8s.io/v1", "Ingress", spec={"rules": [{"host": "a.b"}], "tls": [{}]}),
            {"NAME": "x", "CLASS": "<none>", "HOSTS": "a.b", "ADDRESS": "", "PORTS": "80, 443", "AGE": "5m"},
        ),
        (
            make(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                roleRef={"kind": "Role", "name": "r"},
                subjects=[{"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
            ),
            {"NAME": "x", "ROLE": "Role/r", "AGE": "5m", "USERS": "", "GROUPS": "", "SERVICEACCOUNTS": "n/s"},
        ),
        (
            make("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            {"NAME": "x", "CREATED AT": "2025-07-01T12:00:00Z"},
        ),
        (
            make("v1", "Service", spec={"type": "LoadBalancer", "clusterIP": "10.43.0.9"}),
            {
                "NAME": "x",
                "TYPE": "LoadBalancer",
                "CLUSTER-IP": "10.43.0.9",
                "EXTERNAL-IP": "<pending>",
                "PORT(S)": "<none>",
                "AGE": "5m",
                "SELECTOR": "<none>",
            },
        ),
    ],
)
def test_wide_rows(obj: Json, expected: Json) -> None:
    assert shown(obj, wide=True) == expected


def test_custom_columns() -> None:
    printer = tables.custom(
        [
            {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
            {"name": "Count", "type": "integer", "jsonPath": ".spec.count"},
            {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
            {"name": "Any", "type": "string", "jsonPath": ".spec.map", "priority": 1, "description": "All."},
            {"name": "Wrong", "type": "integer", "jsonPath": ".spec.map"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ]
    )
    obj = make(
        "example.com/v1", "Widget", spec={"count": 3.0, "on": False, "map": {"a": 1}},
        status={"conditions": [{"type": "Ready", "status": "True"}]},
    )  # fmt: skip
    assert printer.cells(obj, NOW) == ["x", "True", 3, False, '{"a":1}', None, "5m"]
    assert printer.cells({"metadata": {"name": "y"}}, NOW) == ["y", None, None, None, None, None, None]
    assert printer.columns[4].definition() == {
        "name": "Any",
        "type": "string",
        "format": "",
        "description": "All.",
        "priority": 1,
    }
    assert [column.name for column in tables.custom(None).columns] == ["Name", "Age"]


def test_table() -> None:
    obj = make("v1", "ConfigMap", data={"a": "b"})
    printer = tables.builtin(GroupVersionKind.of(obj))
    table = tables.table(printer, [obj], NOW, list_metadata={"resourceVersion": "5"})
    assert (table["kind"], table["apiVersion"], table["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "5"},
    )
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"] == [
        {
            "cells": ["x", 1, "5m"],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]},
        }
    ]
    assert tables.row(printer, obj, NOW, "None") == {"cells": ["x", 1, "5m"], "object": None}
    assert tables.row(printer, obj, NOW, "Object")["object"] is obj
    assert tables.table(printer, [], NOW, with_columns=False)["columnDefinitions"] == []
