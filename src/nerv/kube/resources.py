"""The resources that a Kubernetes 1.31 API server serves by itself: one explicit table.

Facts are those of discovery (`kubectl api-resources -o wide`): verbs, short names, categories, subresources. Versions
that need conversion between two stored forms (autoscaling/v1, flowcontrol v1beta3) are not in the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from nerv.kube.objects import GroupVersionKind, join_api_version

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE_ONLY = ("create",)
_NO_COLLECTION_DELETE = ("create", "delete", "get", "list", "patch", "update", "watch")
_STATUS_VERBS = ("get", "patch", "update")
_CONNECT_VERBS = ("create", "get")
_PROXY_VERBS = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A part of an object with its own path. Empty `kind` means the kind of the resource itself; `group` and `version`
    are filled only where the kind lives in another group than the resource."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True)
class Resource:
    """One served resource, as discovery describes it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = field(default=ALL_VERBS)
    subresources: tuple[Subresource, ...] = ()

    @cached_property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return join_api_version(self.group, self.version)

    @property
    def gvk(self) -> GroupVersionKind:
        """Group, version and kind."""
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def qualified(self) -> str:
        """`deployments.apps`, or `pods` for the core group: the form of error messages and CRD names."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, if there is one."""
        return next((item for item in self.subresources if item.name == name), None)


def path(resource: Resource, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
    """The URL path of a collection (no name) or of one object; a cluster-scoped resource ignores the namespace."""
    parts = ["/apis", resource.group, resource.version] if resource.group else ["/api", resource.version]
    if resource.namespaced and namespace:
        parts += ["namespaces", namespace]
    parts.append(resource.plural)
    if name:
        parts.append(name)
        if subresource:
            parts.append(subresource)
    return "/".join(parts)


_STATUS = Subresource("status", _STATUS_VERBS)
_SCALE = Subresource("scale", _STATUS_VERBS, "Scale", "autoscaling", "v1")

BINDINGS = Resource("", "v1", "bindings", "Binding", singular="binding", verbs=CREATE_ONLY)
COMPONENT_STATUSES = Resource(
    "", "v1", "componentstatuses", "ComponentStatus", False, "componentstatus", ("cs",), verbs=("get", "list")
)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", True, "configmap", ("cm",))
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", True, "endpoints", ("ep",))
EVENTS = Resource("", "v1", "events", "Event", True, "event", ("ev",))
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange", True, "limitrange", ("limits",))
NAMESPACES = Resource(
    "",
    "v1",
    "namespaces",
    "Namespace",
    False,
    "namespace",
    ("ns",),
    verbs=_NO_COLLECTION_DELETE,
    subresources=(Subresource("finalize", ("update",)), _STATUS),
)
NODES = Resource(
    "",
    "v1",
    "nodes",
    "Node",
    False,
    "node",
    ("no",),
    subresources=(Subresource("proxy", _PROXY_VERBS, "NodeProxyOptions"), _STATUS),
)
PERSISTENT_VOLUME_CLAIMS = Resource(
    "",
    "v1",
    "persistentvolumeclaims",
    "PersistentVolumeClaim",
    True,
    "persistentvolumeclaim",
    ("pvc",),
    subresources=(_STATUS,),
)
PERSISTENT_VOLUMES = Resource(
    "", "v1", "persistentvolumes", "PersistentVolume", False, "persistentvolume", ("pv",), subresources=(_STATUS,)
)
PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    True,
    "pod",
    ("po",),
    ("all",),
    subresources=(
        Subresource("attach", _CONNECT_VERBS, "PodAttachOptions"),
        Subresource("binding", CREATE_ONLY, "Binding"),
        Subresource("ephemeralcontainers", _STATUS_VERBS),
        Subresource("eviction", CREATE_ONLY, "Eviction", "policy", "v1"),
        Subresource("exec", _CONNECT_VERBS, "PodExecOptions"),
        Subresource("log", ("get",)),
        Subresource("portforward", _CONNECT_VERBS, "PodPortForwardOptions"),
        Subresource("proxy", _PROXY_VERBS, "PodProxyOptions"),
        _STATUS,
    ),
)
POD_TEMPLATES = Resource("", "v1", "podtemplates", "PodTemplate", True, "podtemplate")
REPLICATION_CONTROLLERS = Resource(
    "",
    "v1",
    "replicationcontrollers",
    "ReplicationController",
    True,
    "replicationcontroller",
    ("rc",),
    ("all",),
    subresources=(_SCALE, _STATUS),
)
RESOURCE_QUOTAS = Resource(
    "", "v1", "resourcequotas", "ResourceQuota", True, "resourcequota", ("quota",), subresources=(_STATUS,)
)
SECRETS = Resource("", "v1", "secrets", "Secret", True, "secret")
SERVICE_ACCOUNTS = Resource(
    "",
    "v1",
    "serviceaccounts",
    "ServiceAccount",
    True,
    "serviceaccount",
    ("sa",),
    subresources=(Subresource("token", CREATE_ONLY, "TokenRequest", "authentication.k8s.io", "v1"),),
)
SERVICES = Resource(
    "",
    "v1",
    "services",
    "Service",
    True,
    "service",
    ("svc",),
    ("all",),
    subresources=(Subresource("proxy", _PROXY_VERBS, "ServiceProxyOptions"), _STATUS),
)

CONTROLLER_REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision", True, "controllerrevision")
DAEMON_SETS = Resource(
    "apps", "v1", "daemonsets", "DaemonSet", True, "daemonset", ("ds",), ("all",), subresources=(_STATUS,)
)
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", True, "deployment", ("deploy",), ("all",), subresources=(_SCALE, _STATUS)
)
REPLICA_SETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", True, "replicaset", ("rs",), ("all",), subresources=(_SCALE, _STATUS)
)
STATEFUL_SETS = Resource(
    "apps",
    "v1",
    "statefulsets",
    "StatefulSet",
    True,
    "statefulset",
    ("sts",),
    ("all",),
    subresources=(_SCALE, _STATUS),
)

CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob", True, "cronjob", ("cj",), ("all",), subresources=(_STATUS,))
JOBS = Resource("batch", "v1", "jobs", "Job", True, "job", (), ("all",), subresources=(_STATUS,))

HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    True,
    "horizontalpodautoscaler",
    ("hpa",),
    ("all",),
    subresources=(_STATUS,),
)

_NETWORKING = "networking.k8s.io"
INGRESS_CLASSES = Resource(_NETWORKING, "v1", "ingressclasses", "IngressClass", False, "ingressclass")
INGRESSES = Resource(_NETWORKING, "v1", "ingresses", "Ingress", True, "ingress", ("ing",), subresources=(_STATUS,))
NETWORK_POLICIES = Resource(_NETWORKING, "v1", "networkpolicies", "NetworkPolicy", True, "networkpolicy", ("netpol",))

POD_DISRUPTION_BUDGETS = Resource(
    "policy",
    "v1",
    "poddisruptionbudgets",
    "PodDisruptionBudget",
    True,
    "poddisruptionbudget",
    ("pdb",),
    subresources=(_STATUS,),
)

_RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False, "clusterrolebinding")
CLUSTER_ROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", False, "clusterrole")
ROLE_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding", True, "rolebinding")
ROLES = Resource(_RBAC, "v1", "roles", "Role", True, "role")

PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, "priorityclass", ("pc",)
)

_STORAGE = "storage.k8s.io"
CSI_DRIVERS = Resource(_STORAGE, "v1", "csidrivers", "CSIDriver", False, "csidriver")
CSI_NODES = Resource(_STORAGE, "v1", "csinodes", "CSINode", False, "csinode")
CSI_STORAGE_CAPACITIES = Resource(
    _STORAGE, "v1", "csistoragecapacities", "CSIStorageCapacity", True, "csistoragecapacity"
)
STORAGE_CLASSES = Resource(_STORAGE, "v1", "storageclasses", "StorageClass", False, "storageclass", ("sc",))
VOLUME_ATTACHMENTS = Resource(
    _STORAGE, "v1", "volumeattachments", "VolumeAttachment", False, "volumeattachment", subresources=(_STATUS,)
)

_ADMISSION = "admissionregistration.k8s.io"
_EXTENSIONS = ("api-extensions",)
MUTATING_WEBHOOKS = Resource(
    _ADMISSION,
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    False,
    "mutatingwebhookconfiguration",
    (),
    _EXTENSIONS,
)
VALIDATING_WEBHOOKS = Resource(
    _ADMISSION,
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    False,
    "validatingwebhookconfiguration",
    (),
    _EXTENSIONS,
)
VALIDATING_POLICIES = Resource(
    _ADMISSION,
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    False,
    "validatingadmissionpolicy",
    (),
    _EXTENSIONS,
    subresources=(_STATUS,),
)
VALIDATING_POLICY_BINDINGS = Resource(
    _ADMISSION,
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    False,
    "validatingadmissionpolicybinding",
    (),
    _EXTENSIONS,
)

CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    False,
    "customresourcedefinition",
    ("crd", "crds"),
    _EXTENSIONS,
    subresources=(_STATUS,),
)
API_SERVICES = Resource(
    "apiregistration.k8s.io",
    "v1",
    "apiservices",
    "APIService",
    False,
    "apiservice",
    (),
    _EXTENSIONS,
    subresources=(_STATUS,),
)

_AUTHENTICATION = "authentication.k8s.io"
SELF_SUBJECT_REVIEWS = Resource(
    _AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview", False, "selfsubjectreview", verbs=CREATE_ONLY
)
TOKEN_REVIEWS = Resource(_AUTHENTICATION, "v1", "tokenreviews", "TokenReview", False, "tokenreview", verbs=CREATE_ONLY)

_AUTHORIZATION = "authorization.k8s.io"
LOCAL_SUBJECT_ACCESS_REVIEWS = Resource(
    _AUTHORIZATION,
    "v1",
    "localsubjectaccessreviews",
    "LocalSubjectAccessReview",
    True,
    "localsubjectaccessreview",
    verbs=CREATE_ONLY,
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    _AUTHORIZATION,
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    False,
    "selfsubjectaccessreview",
    verbs=CREATE_ONLY,
)
SELF_SUBJECT_RULES_REVIEWS = Resource(
    _AUTHORIZATION,
    "v1",
    "selfsubjectrulesreviews",
    "SelfSubjectRulesReview",
    False,
    "selfsubjectrulesreview",
    verbs=CREATE_ONLY,
)
SUBJECT_ACCESS_REVIEWS = Resource(
    _AUTHORIZATION,
    "v1",
    "subjectaccessreviews",
    "SubjectAccessReview",
    False,
    "subjectaccessreview",
    verbs=CREATE_ONLY,
)

CERTIFICATE_SIGNING_REQUESTS = Resource(
    "certificates.k8s.io",
    "v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
    False,
    "certificatesigningrequest",
    ("csr",),
    subresources=(Subresource("approval", _STATUS_VERBS), _STATUS),
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", True, "lease")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, "endpointslice")
EVENTS_V1 = Resource("events.k8s.io", "v1", "events", "Event", True, "event", ("ev",))

_FLOW = "flowcontrol.apiserver.k8s.io"
FLOW_SCHEMAS = Resource(_FLOW, "v1", "flowschemas", "FlowSchema", False, "flowschema", subresources=(_STATUS,))
PRIORITY_LEVELS = Resource(
    _FLOW,
    "v1",
    "prioritylevelconfigurations",
    "PriorityLevelConfiguration",
    False,
    "prioritylevelconfiguration",
    subresources=(_STATUS,),
)
RUNTIME_CLASSES = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False, "runtimeclass")

# The order of groups is the order of discovery: the core group, then by group priority (kubectl resolves an ambiguous
# name, such as `events`, to the first).
BUILTIN: tuple[Resource, ...] = (
    BINDINGS,
    COMPONENT_STATUSES,
    CONFIG_MAPS,
    ENDPOINTS,
    EVENTS,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    POD_TEMPLATES,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    API_SERVICES,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    EVENTS_V1,
    SELF_SUBJECT_REVIEWS,
    TOKEN_REVIEWS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    HORIZONTAL_POD_AUTOSCALERS,
    CRON_JOBS,
    JOBS,
    CERTIFICATE_SIGNING_REQUESTS,
    INGRESS_CLASSES,
    INGRESSES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    MUTATING_WEBHOOKS,
    VALIDATING_POLICIES,
    VALIDATING_POLICY_BINDINGS,
    VALIDATING_WEBHOOKS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PRIORITY_CLASSES,
    LEASES,
    RUNTIME_CLASSES,
    ENDPOINT_SLICES,
    FLOW_SCHEMAS,
    PRIORITY_LEVELS,
)

_BY_GVK = {resource.gvk: resource for resource in BUILTIN}


def builtin(gvk: GroupVersionKind) -> Resource | None:
    """The builtin resource of a kind, if there is one."""
    return _BY_GVK.get(gvk)
