"""kstatus: how far an object is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nerv.kube import kstatus
from nerv.kube.kstatus import Level

Json = dict[str, Any]
NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)


def make(api_version: str, kind: str, spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    obj: Json = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"} | metadata}
    return obj | ({"spec": spec} if spec is not None else {}) | ({"status": status} if status is not None else {})


def condition(type: str, status: str = "True", reason: str = "", message: str = "") -> Json:
    return {"type": type, "status": status, "reason": reason, "message": message}


DONE = [condition("Progressing", reason="NewReplicaSetAvailable"), condition("Available")]
FULL = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "conditions": DONE}
TWO = {"replicas": 2, "progressDeadlineSeconds": 600}


@pytest.mark.parametrize(
    ("obj", "level", "message"),
    [
        (None, Level.NOT_FOUND, "Resource not found"),
        (make("v1", "ConfigMap"), Level.CURRENT, "Resource is always ready"),
        (make("example.com/v1", "Widget"), Level.CURRENT, "Resource is current"),
        (
            make("example.com/v1", "Widget", status={"conditions": [condition("Ready")]}),
            Level.CURRENT,
            "Resource is Ready",
        ),
        (
            make("example.com/v1", "Widget", status={"conditions": [condition("Ready", "False", "R", "no")]}),
            Level.IN_PROGRESS,
            "no",
        ),
        (
            make("example.com/v1", "Widget", status={"conditions": [condition("Ready", "Unknown", "R", "dunno")]}),
            Level.IN_PROGRESS,
            "dunno",
        ),
        (
            make(
                "example.com/v1",
                "Widget",
                status={"conditions": [condition("Stalled", message="stuck"), condition("Ready")]},
            ),
            Level.FAILED,
            "stuck",
        ),
        (
            make("example.com/v1", "Widget", status={"conditions": [condition("Reconciling", message="busy")]}),
            Level.IN_PROGRESS,
            "busy",
        ),
        (
            make("example.com/v1", "Widget", status={"observedGeneration": 1}, generation=2),
            Level.IN_PROGRESS,
            "Widget generation is 2, but latest observed generation is 1",
        ),
        (
            make("v1", "ConfigMap", deletionTimestamp="2025-07-01T12:00:00Z"),
            Level.TERMINATING,
            "Resource scheduled for deletion",
        ),
        (make("apps/v1", "Deployment", TWO, FULL), Level.CURRENT, "Deployment is available. Replicas: 2"),
        (make("apps/v1", "Deployment", TWO, {}), Level.IN_PROGRESS, "Replicas: 0/2"),
        (make("apps/v1", "Deployment", TWO, FULL | {"updatedReplicas": 1}), Level.IN_PROGRESS, "Updated: 1/2"),
        (make("apps/v1", "Deployment", TWO, FULL | {"replicas": 3}), Level.IN_PROGRESS, "Pending termination: 1"),
        (make("apps/v1", "Deployment", TWO, FULL | {"availableReplicas": 1}), Level.IN_PROGRESS, "Available: 1/2"),
        (make("apps/v1", "Deployment", TWO, FULL | {"readyReplicas": 1}), Level.IN_PROGRESS, "Ready: 1/2"),
        (
            make("apps/v1", "Deployment", TWO, FULL | {"conditions": [condition("Available")]}),
            Level.IN_PROGRESS,
            "ReplicaSet not Available",
        ),
        (
            make("apps/v1", "Deployment", {"replicas": 2}, FULL | {"conditions": [condition("Available")]}),
            Level.CURRENT,
            "Deployment is available. Replicas: 2",
        ),
        (
            make(
                "apps/v1",
                "Deployment",
                TWO,
                {"conditions": [condition("Progressing", "False", "ProgressDeadlineExceeded")]},
            ),
            Level.FAILED,
            "Progress deadline exceeded",
        ),
        (
            make(
                "apps/v1",
                "ReplicaSet",
                {"replicas": 1},
                {"replicas": 1, "fullyLabeledReplicas": 1, "availableReplicas": 1, "readyReplicas": 1},
            ),
            Level.CURRENT,
            "ReplicaSet is available. Replicas: 1",
        ),
        (make("apps/v1", "ReplicaSet", {"replicas": 1}, {"replicas": 1}), Level.IN_PROGRESS, "Labelled: 0/1"),
        (
            make(
                "apps/v1",
                "StatefulSet",
                {"replicas": 1, "updateStrategy": {"rollingUpdate": {"partition": 0}}},
                {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1},
            ),
            Level.CURRENT,
            "Partition rollout complete. updated: 1",
        ),
        (
            make(
                "apps/v1",
                "StatefulSet",
                {"replicas": 1},
                {
                    "replicas": 1,
                    "readyReplicas": 1,
                    "currentReplicas": 1,
                    "currentRevision": "a",
                    "updateRevision": "b",
                },
            ),
            Level.IN_PROGRESS,
            "Waiting for updated revision to match current",
        ),
        (
            make("apps/v1", "DaemonSet", {}, {"desiredNumberScheduled": 1}),
            Level.IN_PROGRESS,
            "DaemonSet status.observedGeneration not found",
        ),
        (
            make(
                "apps/v1",
                "DaemonSet",
                {},
                {
                    "observedGeneration": 1,
                    "desiredNumberScheduled": 1,
                    "currentNumberScheduled": 1,
                    "updatedNumberScheduled": 1,
                    "numberAvailable": 1,
                    "numberReady": 1,
                },
            ),
            Level.CURRENT,
            "All replicas scheduled as expected. Replicas: 1",
        ),
        (make("v1", "Pod", status={"phase": "Succeeded"}), Level.CURRENT, "Pod has completed successfully"),
        (make("v1", "Pod", status={"phase": "Failed"}), Level.CURRENT, "Pod has completed, but not successfully"),
        (
            make("v1", "Pod", status={"phase": "Running", "conditions": [condition("Ready")]}),
            Level.CURRENT,
            "Pod is Ready",
        ),
        (
            make(
                "v1",
                "Pod",
                status={
                    "phase": "Running",
                    "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
                },
            ),
            Level.FAILED,
            "Containers in CrashLoop state: c",
        ),
        (make("v1", "Pod", status={}), Level.IN_PROGRESS, "Pod phase not available"),
        (
            make("v1", "PersistentVolumeClaim", status={"phase": "Pending"}),
            Level.IN_PROGRESS,
            "PVC is not Bound. phase: Pending",
        ),
        (make("v1", "PersistentVolumeClaim", status={"phase": "Bound"}), Level.CURRENT, "PVC is Bound"),
        (make("v1", "Service", {"type": "LoadBalancer", "clusterIP": "10.43.0.9"}), Level.CURRENT, "Service is ready"),
        (
            make("v1", "Service", {"type": "LoadBalancer"}),
            Level.IN_PROGRESS,
            "ClusterIP not set. Service type: LoadBalancer",
        ),
        (
            make("batch/v1", "Job", {"completions": 2}, {"succeeded": 2, "conditions": [condition("Complete")]}),
            Level.CURRENT,
            "Job Completed. succeeded: 2/2",
        ),
        (
            make("batch/v1", "Job", {}, {"failed": 7, "conditions": [condition("Failed")]}),
            Level.FAILED,
            "Job Failed. failed: 7/1",
        ),
        (make("batch/v1", "Job", {}, {}), Level.IN_PROGRESS, "Job not started"),
        (
            make("batch/v1", "Job", {}, {"startTime": "x", "active": 1}),
            Level.CURRENT,
            "Job in progress. success:0, active: 1, failed: 0",
        ),
        (
            make(
                "apiextensions.k8s.io/v1", "CustomResourceDefinition", status={"conditions": [condition("Established")]}
            ),
            Level.CURRENT,
            "CRD is established",
        ),
        (make("apiextensions.k8s.io/v1", "CustomResourceDefinition"), Level.IN_PROGRESS, "Install in progress"),
        (make("policy/v1", "PodDisruptionBudget"), Level.CURRENT, "AllowedDisruptions has been computed."),
    ],
)
def test_rules(obj: Json | None, level: Level, message: str) -> None:
    found = kstatus.compute(obj)
    assert (found.level, found.message) == (level, message)
    assert found.current is (level is Level.CURRENT)


def test_flux_waits_for_the_end_of_a_job() -> None:
    running = make("batch/v1", "Job", {}, {"startTime": "x", "active": 1})
    assert kstatus.compute(running, jobs_must_end=True).level is Level.IN_PROGRESS


def test_a_pod_that_cannot_be_placed_fails_after_a_while() -> None:
    conditions = [condition("PodScheduled", "False", "Unschedulable")]
    pod = make(
        "v1", "Pod", status={"phase": "Pending", "conditions": conditions}, creationTimestamp="2025-07-01T12:00:00Z"
    )
    assert kstatus.compute(pod, NOW + timedelta(seconds=5)).level is Level.IN_PROGRESS
    assert kstatus.compute(pod, NOW + timedelta(seconds=20)).level is Level.FAILED
