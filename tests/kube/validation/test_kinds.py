"""What the API server refuses, in its words."""

from typing import Any

import pytest

from nerv.kube import defaults, fields, validation
from nerv.kube.objects import clone

Json = dict[str, Any]


def check(obj: Json, old: Json | None = None, **options: Any) -> list[str]:
    return [error.message for error in validation.validate(defaults.fill(obj), old and defaults.fill(old), **options)]


def make(api_version: str, kind: str, name: str = "x", **rest: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}} | rest


def deployment(**spec: Any) -> Json:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return make("apps/v1", "Deployment", spec={"selector": {"matchLabels": {"app": "a"}}, "template": template} | spec)


def pod(container: Json | None = None, **spec: Any) -> Json:
    return make("v1", "Pod", spec={"containers": [{"name": "c", "image": "i"} | (container or {})]} | spec)


def test_valid_objects() -> None:
    assert check(deployment()) == []
    assert check(pod()) == []
    assert check(make("v1", "Service", spec={"ports": [{"port": 80}]})) == []
    assert check(make("rbac.authorization.k8s.io/v1", "ClusterRole", "system:node", rules=[])) == []
    assert check(deployment(), deployment(replicas=3)) == []


_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (make("v1", "ConfigMap", "Bad_Name"), [f'metadata.name: Invalid value: "Bad_Name": {_SUBDOMAIN}']),
        (make("v1", "ConfigMap", ""), ["metadata.name: Required value: name or generateName is required"]),
        (
            make("v1", "ConfigMap", metadata={"name": "a", "labels": {"a": "b c"}}),
            [
                'metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of '
                "alphanumeric "
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  "
                "or "
                "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ],
        ),
        (
            make("v1", "ConfigMap", metadata={"name": "a", "annotations": {"a": "x" * 300_000}}),
            ["metadata.annotations: Too long: must have at most 262144 bytes"],
        ),
        (
            make("v1", "ConfigMap", data={"a/b": "x"}),
            [
                'data[a/b]: Invalid value: "a/b": a valid config key must consist of '
                "alphanumeric characters, '-', '_' "
                "or "
                "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            ],
        ),
        (make("v1", "Secret", type="kubernetes.io/tls", data={"tls.crt": ""}), ["data[tls.key]: Required value"]),
        (
            deployment(selector=None),
            [
                "spec.selector: Required value",
                'spec.template.metadata.labels: Invalid value: map[string]string{"app":"a"}: '
                "`selector` does not match template `labels`",
            ],
        ),
        (
            deployment(selector={}),
            [
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), "
                "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for deployment"
            ],
        ),
        (
            deployment(selector={"matchLabels": {"app": "b"}}),
            [
                'spec.template.metadata.labels: Invalid value: map[string]string{"app":"a"}: `selector` does not match '
                "template `labels`"
            ],
        ),
        (deployment(replicas=-1), ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            deployment(strategy={"type": "Sometimes"}),
            ['spec.strategy.type: Unsupported value: "Sometimes": supported values: "Recreate", "RollingUpdate"'],
        ),
        (make("v1", "Pod", spec={}), ["spec.containers: Required value"]),
        (pod({"image": ""}), ["spec.containers[0].image: Required value"]),
        (
            pod({"imagePullPolicy": "Often"}),
            [
                'spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", '
                '"IfNotPresent", "Never"'
            ],
        ),
        (
            pod({"ports": [{"containerPort": 70000}]}),
            ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        (
            pod({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
            ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
        ),
        (
            pod({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}),
            ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
        ),
        (
            make("v1", "Pod", spec={"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}),
            ['spec.containers[1].name: Duplicate value: "c"'],
        ),
        (pod(volumes=[{"name": "v"}, {"name": "v"}]), ['spec.volumes[1].name: Duplicate value: "v"']),
        (make("v1", "Service", spec={}), ["spec.ports: Required value"]),
        (make("v1", "Service", spec={"clusterIP": "None"}), []),
        (make("v1", "Service", spec={"type": "ExternalName"}), ["spec.externalName: Required value"]),
        (
            make("v1", "Service", spec={"ports": [{"port": 80}, {"port": 81, "name": "b"}]}),
            ["spec.ports[0].name: Required value"],
        ),
        (
            make("v1", "Service", spec={"ports": [{"port": 0}]}),
            ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            make("v1", "PersistentVolumeClaim", spec={}),
            [
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        ),
        (
            make("batch/v1", "Job", spec={"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}),
            ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
        ),
        (
            make("networking.k8s.io/v1", "Ingress", spec={}),
            ["spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified"],
        ),
        (
            make("rbac.authorization.k8s.io/v1", "ClusterRole", rules=[{"resources": ["pods"], "apiGroups": [""]}]),
            ["rules[0].verbs: Required value: verbs must contain at least one value"],
        ),
        (
            make(
                "admissionregistration.k8s.io/v1",
                "ValidatingWebhookConfiguration",
                webhooks=[{"name": "short", "clientConfig": {"url": "https://x"}}],
            ),
            [
                'webhooks[0].name: Invalid value: "short": should be a domain with at '
                "least three segments separated by dots",
                "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
                "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
            ],
        ),
        (
            make("storage.k8s.io/v1", "StorageClass", provisioner=""),
            ["provisioner: Required value"],
        ),
        (
            make("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "maxUnavailable": 1}),
            [
                'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be '
                "both "
                "set"
            ],
        ),
    ],
)
def test_create(obj: Json, expected: list[str]) -> None:
    assert check(clone(obj)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            deployment(),
            deployment(
                selector={"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]}
            ),
            [
                'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"a"}, '
                'MatchExpressions:[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:"app", '
                'Operator:"Exists", Values:[]string(nil)}}}: field is immutable'
            ],
        ),
        (
            make("v1", "Service", spec={"clusterIP": "10.43.0.5", "ports": [{"port": 80}]}),
            make("v1", "Service", spec={"clusterIP": "10.43.0.6", "ports": [{"port": 80}]}),
            ['spec.clusterIPs[0]: Invalid value: []string{"10.43.0.6"}: may not change once set'],
        ),
        (
            make("v1", "ConfigMap", immutable=True, data={"a": "1"}),
            make("v1", "ConfigMap", immutable=True, data={"a": "2"}),
            ["data: Forbidden: field is immutable when `immutable` is set"],
        ),
        (
            make("v1", "Secret", type="Opaque"),
            make("v1", "Secret", type="other"),
            ['type: Invalid value: "other": field is immutable'],
        ),
        (pod(), pod({"image": "j"}), []),
        (pod(), pod(hostNetwork=True), ["spec: Forbidden: pod updates may not change fields other than "]),
        (
            make("storage.k8s.io/v1", "StorageClass", provisioner="p", parameters={"a": "1"}),
            make("storage.k8s.io/v1", "StorageClass", provisioner="p", parameters={"a": "2"}),
            ["parameters: Forbidden: updates to parameters are forbidden."],
        ),
        (
            make("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"kind": "Role", "name": "a"}),
            make("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"kind": "Role", "name": "b"}),
            [
                'roleRef: Invalid value: rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", Kind:"Role", Name:"b"}: '
                "cannot "
                "change roleRef"
            ],
        ),
        (
            make("v1", "ConfigMap", metadata={"name": "x", "uid": "1"}),
            make("v1", "ConfigMap", metadata={"name": "x", "uid": "2"}),
            ['metadata.uid: Invalid value: "2": field is immutable'],
        ),
        (
            make("v1", "ConfigMap", metadata={"name": "x", "deletionTimestamp": "2025-07-01T00:00:00Z"}),
            make("v1", "ConfigMap", metadata={"name": "x", "finalizers": ["a/b"]}),
            ["metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "],
        ),
    ],
)
def test_update(old: Json, new: Json, expected: list[str]) -> None:
    found = check(clone(new), clone(old))
    assert len(found) == len(expected), found
    assert all(one.startswith(two) for one, two in zip(found, expected, strict=True)), found


def claim(storage: str, **spec: Any) -> Json:
    resources = {"requests": {"storage": storage}}
    return make("v1", "PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"], "resources": resources} | spec)


def test_claims_are_bound_once_and_only_grow() -> None:
    assert check(claim("1Gi", volumeName="pv"), claim("1Gi")) == []
    assert check(claim("2Gi"), claim("1Gi")) == []
    assert check(claim("1Gi"), claim("2Gi")) == [
        "spec.resources.requests.storage: Forbidden: field can not be less than previous value"
    ]
    (found,) = check(claim("1Gi", volumeName="b"), claim("1Gi", volumeName="a"))
    assert found.startswith("spec: Forbidden: spec is immutable after creation except resources.requests")


def test_stateful_sets_and_jobs_hardly_change() -> None:
    spec = deployment()["spec"]
    old, new = (make("apps/v1", "StatefulSet", spec=clone(spec) | {"serviceName": name}) for name in ("a", "b"))
    (found,) = check(new, old)
    assert found.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas'")
    template = clone(spec["template"])
    template["spec"]["restartPolicy"] = "Never"
    changed = clone(template)
    changed["spec"]["containers"][0]["image"] = "j"
    (found,) = check(
        make("batch/v1", "Job", spec={"template": changed}), make("batch/v1", "Job", spec={"template": template})
    )
    assert found.startswith("spec.template: Invalid value: ")
    assert found.endswith(": field is immutable")


def test_a_subresource_is_checked_for_metadata_alone() -> None:
    assert check(pod(nodeName="n1"), pod(), subresource="binding") == []
    assert check(pod(nodeName="n1"), pod()) != []


def definition(**spec: Any) -> Json:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"kind": "Widget", "plural": "widgets"}
    full = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]} | spec
    return make("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com", spec=full)


def schema_version(schema: Json) -> Json:
    return {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (definition(), []),
        (definition(group="other.com"), ["metadata.name: Invalid value: "]),
        (
            definition(scope="Galaxy"),
            ['spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"'],
        ),
        (definition(versions=[]), ["spec.versions: Required value"]),
        (
            definition(versions=[{"name": "v1", "served": True, "storage": True}]),
            ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
        ),
        (
            definition(versions=[schema_version({"type": "object", "properties": {"a": {}}})]),
            ["spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty"],
        ),
        (
            definition(versions=[schema_version({"type": "object", "x-kubernetes-validations": [{"rule": "self."}]})]),
            ["spec.versions[0].schema.openAPIV3Schema.x-kubernetes-validations[0].rule: Invalid value: "],
        ),
    ],
)
def test_definitions(obj: Json, expected: list[str]) -> None:
    found = check(clone(obj))
    assert len(found) == len(expected), found
    assert all(one.startswith(two) for one, two in zip(found, expected, strict=True)), found


def test_summary_and_causes() -> None:
    one, two = fields.required("spec.a"), fields.invalid("spec.b", "x", "must be y")
    assert fields.summary([one]) == "spec.a: Required value"
    assert fields.summary([one, two, one]) == '[spec.a: Required value, spec.b: Invalid value: "x": must be y]'
    assert two.cause() == {
        "reason": "FieldValueInvalid",
        "message": 'Invalid value: "x": must be y',
        "field": "spec.b",
    }


def test_the_bare_finalizer_of_definitions_is_valid_there_alone() -> None:
    """The server itself puts it on definitions; a second apply must not be refused for it."""
    finalizers = {"name": "as.x.example", "finalizers": ["customresourcecleanup.apiextensions.k8s.io"]}
    definition = make("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata=finalizers)
    assert not [error for error in check(definition) if "finalizer" in error]
    assert [error for error in check(make("v1", "ConfigMap", metadata=finalizers)) if "standard finalizer" in error]
