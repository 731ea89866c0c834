"""Which kind gets which defaults: one explicit table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from nerv.kube.defaults import core, pods, registration, workloads
from nerv.kube.objects import Object

_RBAC = registration.RBAC_GROUP
_ADMISSION = "admissionregistration.k8s.io/v1"

_KINDS: Final[dict[tuple[str, str], Callable[[dict[str, Any]], None]]] = {
    ("v1", "Pod"): pods.pod,
    ("v1", "PodTemplate"): pods.template,
    ("v1", "Service"): core.service,
    ("v1", "Secret"): core.secret,
    ("v1", "Namespace"): core.namespace,
    ("v1", "Endpoints"): core.endpoints,
    ("v1", "PersistentVolume"): core.volume,
    ("v1", "PersistentVolumeClaim"): core.claim,
    ("v1", "LimitRange"): core.limit_range,
    ("v1", "ReplicationController"): workloads.replication_controller,
    ("apps/v1", "Deployment"): workloads.deployment,
    ("apps/v1", "ReplicaSet"): workloads.replica_set,
    ("apps/v1", "StatefulSet"): workloads.stateful_set,
    ("apps/v1", "DaemonSet"): workloads.daemon_set,
    ("batch/v1", "Job"): workloads.job,
    ("batch/v1", "CronJob"): workloads.cron_job,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): workloads.autoscaler,
    ("discovery.k8s.io/v1", "EndpointSlice"): core.endpoint_slice,
    ("networking.k8s.io/v1", "NetworkPolicy"): core.network_policy,
    ("networking.k8s.io/v1", "IngressClass"): core.ingress_class,
    ("storage.k8s.io/v1", "StorageClass"): core.storage_class,
    ("storage.k8s.io/v1", "CSIDriver"): core.csi_driver,
    ("scheduling.k8s.io/v1", "PriorityClass"): registration.priority_class,
    (f"{_RBAC}/v1", "RoleBinding"): registration.binding,
    (f"{_RBAC}/v1", "ClusterRoleBinding"): registration.binding,
    (_ADMISSION, "MutatingWebhookConfiguration"): registration.mutating_webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): registration.validating_webhooks,
    (_ADMISSION, "ValidatingAdmissionPolicy"): registration.validating_policy,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): registration.validating_policy_binding,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): registration.definition,
    ("apiregistration.k8s.io/v1", "APIService"): registration.api_service,
}


def fill(obj: Object) -> Object:
    """Fills in what is missing, in place; a kind without defaults stays as it is. Nulls must have gone before."""
    defaults = _KINDS.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if defaults is not None:
        defaults(obj)
    return obj
