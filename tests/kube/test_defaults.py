"""Defaults of builtin kinds, as a real API server answers them."""

from typing import Any

import pytest

from nerv.kube import defaults, schemas
from nerv.kube.defaults import creation, pods
from nerv.kube.objects import GroupVersionKind, clone

Json = dict[str, Any]


def fill(api_version: str, kind: str, **fields: Any) -> Json:
    obj = defaults.fill({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}} | fields)
    once = clone(obj)
    assert defaults.fill(obj) == once, "defaulting twice changes nothing"
    schema = schemas.builtin(GroupVersionKind.of(obj))
    assert schema is not None
    assert schemas.unknown_fields(once, schema) == []
    assert schemas.type_error(once, schema) == ""
    return once


CONTAINER = {"name": "c", "image": "nginx:1.27"}
FILLED_CONTAINER = CONTAINER | {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
FILLED_POD_SPEC = {
    "containers": [FILLED_CONTAINER],
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
TEMPLATE = {"spec": {"containers": [CONTAINER]}}
FILLED_TEMPLATE = {"metadata": {"creationTimestamp": None}, "spec": FILLED_POD_SPEC}


def test_pod() -> None:
    pod = fill("v1", "Pod", spec={"containers": [clone(CONTAINER)]})
    assert pod["spec"] == FILLED_POD_SPEC | {"enableServiceLinks": True}


def test_pod_requests_follow_limits() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    pod = fill("v1", "Pod", spec={"containers": [CONTAINER | {"resources": resources}]})
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_container_details() -> None:
    container = CONTAINER | {
        "ports": [{"containerPort": 80}],
        "livenessProbe": {"httpGet": {"port": 80}},
        "startupProbe": {"grpc": {"port": 80}},
        "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    found = fill("v1", "Pod", spec={"hostNetwork": True, "containers": [clone(container)]})["spec"]["containers"][0]
    assert found["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]
    assert found["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert found["startupProbe"]["grpc"] == {"port": 80, "service": ""}
    assert found["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"
    assert found["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"name": "v"}, {"name": "v", "emptyDir": {}}),
        (
            {"name": "v", "secret": {"secretName": "s"}},
            {"name": "v", "secret": {"secretName": "s", "defaultMode": 420}},
        ),
        ({"name": "v", "hostPath": {"path": "/"}}, {"name": "v", "hostPath": {"path": "/", "type": ""}}),
        (
            {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "name": "v",
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                },
            },
        ),
    ],
)
def test_volumes(volume: Json, expected: Json) -> None:
    pod = fill("v1", "Pod", spec={"containers": [clone(CONTAINER)], "volumes": [clone(volume)]})
    assert pod["spec"]["volumes"] == [expected]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pods.pull_policy(image) == policy


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "expected"),
    [
        (
            "apps/v1",
            "Deployment",
            {"template": TEMPLATE},
            {
                "replicas": 1,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
                "template": FILLED_TEMPLATE,
            },
        ),
        (
            "apps/v1",
            "Deployment",
            {"replicas": 0, "strategy": {"type": "Recreate"}},
            {
                "replicas": 0,
                "strategy": {"type": "Recreate"},
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            },
        ),
        ("apps/v1", "ReplicaSet", {"template": TEMPLATE}, {"replicas": 1, "template": FILLED_TEMPLATE}),
        (
            "apps/v1",
            "StatefulSet",
            {"volumeClaimTemplates": [{"metadata": {"name": "d"}}]},
            {
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                "revisionHistoryLimit": 10,
                "volumeClaimTemplates": [
                    {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "metadata": {"name": "d"},
                        "spec": {"volumeMode": "Filesystem"},
                        "status": {"phase": "Pending"},
                    }
                ],
            },
        ),
        (
            "apps/v1",
            "DaemonSet",
            {},
            {
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
                "revisionHistoryLimit": 10,
            },
        ),
        (
            "batch/v1",
            "Job",
            {},
            {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
            },
        ),
        (
            "batch/v1",
            "CronJob",
            {"schedule": "* * * * *"},
            {
                "schedule": "* * * * *",
                "concurrencyPolicy": "Allow",
                "suspend": False,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 1,
            },
        ),
        (
            "v1",
            "Service",
            {"ports": [{"port": 80}, {"port": 81, "targetPort": "http"}]},
            {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [
                    {"port": 80, "protocol": "TCP", "targetPort": 80},
                    {"port": 81, "protocol": "TCP", "targetPort": "http"},
                ],
            },
        ),
        (
            "v1",
            "Service",
            {"type": "LoadBalancer", "sessionAffinity": "ClientIP"},
            {
                "type": "LoadBalancer",
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "externalTrafficPolicy": "Cluster",
                "internalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": True,
            },
        ),
        (
            "v1",
            "Service",
            {"type": "ExternalName", "externalName": "a"},
            {"type": "ExternalName", "externalName": "a", "sessionAffinity": "None"},
        ),
        ("v1", "PersistentVolumeClaim", {}, {"volumeMode": "Filesystem"}),
        (
            "v1",
            "PersistentVolume",
            {},
            {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"egress": [{"ports": [{"port": 53}]}]},
            {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}],
            },
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            {"names": {"kind": "Widget", "plural": "widgets"}},
            {
                "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
                "conversion": {"strategy": "None"},
            },
        ),
    ],
)
def test_specs(api_version: str, kind: str, spec: Json, expected: Json) -> None:
    assert fill(api_version, kind, spec=clone(spec))["spec"] == expected


def test_secret_text_moves_into_data() -> None:
    secret = fill("v1", "Secret", data={"a": "Yg=="}, stringData={"a": "x", "c": "d"})
    assert secret["type"] == "Opaque"
    assert secret["data"] == {"a": "eA==", "c": "ZA=="}
    assert "stringData" not in secret


def test_other_kinds() -> None:
    assert fill("v1", "Namespace")["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    ports = fill("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=[], ports=[{"port": 1}])["ports"]
    assert ports == [{"port": 1, "name": "", "protocol": "TCP"}]
    storage = fill("storage.k8s.io/v1", "StorageClass", provisioner="p")
    assert (storage["reclaimPolicy"], storage["volumeBindingMode"]) == ("Delete", "Immediate")
    role = fill(
        "rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"kind": "Role", "name": "r"},
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
    )  # fmt: skip
    assert role["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert [subject.get("apiGroup") for subject in role["subjects"]] == ["rbac.authorization.k8s.io", None]


def test_webhooks() -> None:
    hook = {
        "name": "a.b.c",
        "clientConfig": {"service": {"name": "s", "namespace": "n"}},
        "rules": [{"operations": ["*"]}],
    }
    found = fill("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[clone(hook)])
    assert found["webhooks"] == [
        {
            "name": "a.b.c",
            "clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}},
            "rules": [{"operations": ["*"], "scope": "*"}],
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "timeoutSeconds": 10,
            "reinvocationPolicy": "Never",
        }
    ]
    plain = fill("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhooks=[clone(hook)])
    assert "reinvocationPolicy" not in plain["webhooks"][0]


def test_unknown_kinds_stay() -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Widget"}
    assert defaults.fill(clone(obj)) == obj
    assert defaults.begin(clone(obj)) == obj


def test_a_job_selects_its_pods_by_its_uid() -> None:
    job = defaults.begin({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "uid": "u"}, "spec": {}})
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "controller-uid": "u",
        "job-name": "j",
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": "j",
    }


def test_first_statuses() -> None:
    namespace = defaults.begin({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "status": {"x": 1}})
    assert namespace["status"] == {"phase": "Active"}
    assert namespace["spec"] == {"finalizers": ["kubernetes"]}
    service = defaults.begin({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "n"}})
    assert service["status"] == {"loadBalancer": {}}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
    ],
)
def test_quality_of_service(resources: list[Json], quality: str) -> None:
    assert creation.quality({"containers": [{"resources": item} for item in resources]}) == quality
