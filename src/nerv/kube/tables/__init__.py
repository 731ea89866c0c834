"""Tables: what `kubectl get` shows of each kind, made by the server (`as=Table;v=v1;g=meta.k8s.io`).

Headers and cells are those of Kubernetes 1.31.
"""

from collections.abc import Mapping
from typing import Final

from nerv.kube.objects import GroupVersionKind
from nerv.kube.tables import cluster, pods, workloads
from nerv.kube.tables.ages import age, human, since
from nerv.kube.tables.pods import summary as pod_summary
from nerv.kube.tables.printer import DEFAULT, Column, Printer, custom, row, table

_ADMISSION = "admissionregistration.k8s.io"
_NETWORKING = "networking.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_STORAGE = "storage.k8s.io"

_PRINTERS: Final[Mapping[tuple[str, str], Printer]] = {
    ("", "Pod"): pods.POD,
    ("", "PodTemplate"): workloads.POD_TEMPLATE,
    ("", "ReplicationController"): workloads.REPLICAS,
    ("", "Service"): cluster.SERVICE,
    ("", "Endpoints"): cluster.ENDPOINTS,
    ("", "Node"): cluster.NODE,
    ("", "Event"): cluster.EVENT,
    ("", "Namespace"): cluster.NAMESPACE,
    ("", "ConfigMap"): cluster.CONFIG_MAP,
    ("", "Secret"): cluster.SECRET,
    ("", "ServiceAccount"): cluster.SERVICE_ACCOUNT,
    ("", "PersistentVolume"): cluster.VOLUME,
    ("", "PersistentVolumeClaim"): cluster.CLAIM,
    ("", "ResourceQuota"): cluster.QUOTA,
    ("apps", "Deployment"): workloads.DEPLOYMENT,
    ("apps", "ReplicaSet"): workloads.REPLICAS,
    ("apps", "StatefulSet"): workloads.STATEFUL_SET,
    ("apps", "DaemonSet"): workloads.DAEMON_SET,
    ("apps", "ControllerRevision"): workloads.REVISION,
    ("batch", "Job"): workloads.JOB,
    ("batch", "CronJob"): workloads.CRON_JOB,
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.AUTOSCALER,
    ("policy", "PodDisruptionBudget"): workloads.BUDGET,
    ("events.k8s.io", "Event"): cluster.EVENT,
    ("discovery.k8s.io", "EndpointSlice"): cluster.ENDPOINT_SLICE,
    (_NETWORKING, "Ingress"): cluster.INGRESS,
    (_NETWORKING, "IngressClass"): cluster.INGRESS_CLASS,
    (_NETWORKING, "NetworkPolicy"): cluster.NETWORK_POLICY,
    (_STORAGE, "StorageClass"): cluster.STORAGE_CLASS,
    (_STORAGE, "CSINode"): cluster.CSI_NODE,
    (_STORAGE, "CSIDriver"): cluster.CSI_DRIVER,
    (_STORAGE, "VolumeAttachment"): cluster.ATTACHMENT,
    (_RBAC, "RoleBinding"): cluster.BINDING,
    (_RBAC, "ClusterRoleBinding"): cluster.BINDING,
    (_ADMISSION, "MutatingWebhookConfiguration"): cluster.WEBHOOKS,
    (_ADMISSION, "ValidatingWebhookConfiguration"): cluster.WEBHOOKS,
    (_ADMISSION, "ValidatingAdmissionPolicy"): cluster.POLICY,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): cluster.POLICY_BINDING,
    ("scheduling.k8s.io", "PriorityClass"): cluster.PRIORITY_CLASS,
    ("node.k8s.io", "RuntimeClass"): cluster.RUNTIME_CLASS,
    ("coordination.k8s.io", "Lease"): cluster.LEASE,
    ("certificates.k8s.io", "CertificateSigningRequest"): cluster.REQUEST,
    ("apiregistration.k8s.io", "APIService"): cluster.API_SERVICE,
}


def builtin(gvk: GroupVersionKind) -> Printer:
    """The printer of a builtin kind; one without its own columns has name and creation time."""
    return _PRINTERS.get((gvk.group, gvk.kind), DEFAULT)


__all__ = [
    "DEFAULT",
    "Column",
    "Printer",
    "age",
    "builtin",
    "custom",
    "human",
    "pod_summary",
    "row",
    "since",
    "table",
]
