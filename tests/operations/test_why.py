"""From symptom to cause: the words of Flux, Kubernetes, cert-manager and MetalLB lead to the object to blame."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import foreign
from tests.support.foreign import kustomization, obj, ready, release

from nerv.kube.objects import Object
from nerv.operations import why
from nerv.operations.tree import Key

NOT_READY = ready("False", "DependencyNotReady", "dependency is not ready")
DONE = ready("True", "ReconciliationSucceeded", "Applied revision: main@sha1:1")


def _finding(kind: str, name: str, *found: Object) -> why.Finding:
    facts = why.facts_of(found)
    key = next(key for key in facts.objects if (key.kind, key.name) == (kind, name))
    explained = why.explain(key, facts)
    assert explained is not None
    return explained


def _chain(finding: why.Finding) -> list[str]:
    return [link.object for link in finding.chain]


def test_one_image_holds_four_objects_back() -> None:
    found = why.findings(why.facts_of(foreign.everything()))
    assert len(found) == 1
    assert _chain(found[0]) == [
        "kustomization/flux-system/apps-config",
        "kustomization/flux-system/apps",
        "helmrelease/longhorn-system/longhorn",
        "deployment/longhorn-system/longhorn-ui",
        "replicaset/longhorn-system/longhorn-ui-5d9",
        "pod/longhorn-system/longhorn-ui-5d9-x7k2p",
    ]
    assert "no such host" in found[0].cause.says
    assert found[0].remedy.startswith("the image cannot be pulled")


def test_what_is_well_has_no_cause() -> None:
    facts = why.facts_of(foreign.everything())
    assert why.explain(Key("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "flux-system"), facts) is None
    well = [each for each in foreign.everything() if each["kind"] in ("GitRepository", "Node", "Service")]
    assert why.findings(why.facts_of(well)) == []


def _source(kind: str, message: str, **spec: Any) -> Object:
    version = "source.toolkit.fluxcd.io/v1"
    status = {"observedGeneration": 1, "conditions": [ready("False", "GitOperationFailed", message)]}
    return obj(version, kind, "flux-system/flux-system", spec={"url": "https://x", **spec}, status=status)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("failed to checkout: unable to clone: authentication required: Repository not found.", "the login is refused"),
        (
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]",
            "the login is refused",
        ),
        ("failed to checkout and determine revision: couldn't find remote ref refs/heads/mian", "the branch, tag"),
        ("dial tcp: lookup github.com on 10.43.0.10:53: no such host", "the host's name does not resolve"),
        ("Get https://github.com: dial tcp 140.82.121.4:443: i/o timeout", "the server cannot be reached"),
        ("x509: certificate signed by unknown authority", "the server's certificate is not trusted"),
        ("failed to get secret 'flux-system/flux-system': secrets \"flux-system\" not found", "make the Secret"),
        ("something that nobody has seen before", "`nerv events gitrepository/flux-system/flux-system`"),
    ],
)
def test_a_source_that_fails_is_the_cause_of_what_is_built_from_it(message: str, remedy: str) -> None:
    waits = kustomization("apps", ready("False", "ArtifactFailed", "Source artifact not found"), [])
    found = _finding("Kustomization", "apps", waits, _source("GitRepository", message))
    assert _chain(found) == ["kustomization/flux-system/apps", "gitrepository/flux-system/flux-system"]
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("reason", "message", "remedy"),
    [
        ("BuildFailed", "kustomize build failed: accumulating resources", "correct the file"),
        ("ArtifactFailed", "kustomization path not found: stat /tmp/x/apps: no such file", "spec.path names a folder"),
        (
            "ReconciliationFailed",
            'no matches for kind "IngressRoute" in version "traefik.io/v1alpha1"',
            "the kind is not",
        ),
        ("ReconciliationFailed", "Deployment/a/b dry-run failed: spec.selector: field is immutable", "a field that"),
        ("DependencyNotReady", "dependency 'flux-system/x' is not ready", "what it depends on is ready by now"),
    ],
)
def test_a_kustomization_that_is_itself_the_cause(reason: str, message: str, remedy: str) -> None:
    found = _finding(
        "Kustomization", "apps", foreign.source(), kustomization("apps", ready("False", reason, message), [])
    )
    assert _chain(found) == ["kustomization/flux-system/apps"]
    assert found.remedy.startswith(remedy)


def test_what_is_held_by_hand_is_let_go_by_hand() -> None:
    held = kustomization("apps", ready("False", "BuildFailed", "bad"), [], suspend=True)
    waits = kustomization("apps-config", NOT_READY, [], dependsOn=[{"name": "apps"}])
    found = _finding("Kustomization", "apps-config", foreign.source(), held, waits)
    assert found.remedy == "it is held by hand: `nerv resume kustomization/flux-system/apps`"


def test_a_dependency_that_nobody_made() -> None:
    waits = kustomization(
        "apps", ready("False", "DependencyNotReady", "dependency not found"), [], dependsOn=[{"name": "x"}]
    )
    found = _finding("Kustomization", "apps", foreign.source(), waits)
    assert (found.cause.object, found.cause.says) == ("kustomization/flux-system/x", "does not exist")
    assert "dependsOn" in found.remedy


def test_a_release_waits_for_its_chart_and_the_chart_for_its_repository() -> None:
    failed = ready("False", "SourceNotReady", "HelmChart 'longhorn-system/longhorn-system-longhorn' is not ready")
    repository = _source("HelmRepository", "failed to fetch index: 404 Not Found")
    repository["metadata"] |= {"namespace": "longhorn-system", "name": "longhorn"}
    chart = obj(
        "source.toolkit.fluxcd.io/v1", "HelmChart", "longhorn-system/longhorn-system-longhorn",
        spec={"chart": "longhorn", "sourceRef": {"kind": "HelmRepository", "name": "longhorn"}},
        status={"observedGeneration": -1, "conditions": [ready("False", "NoSourceArtifact", "no artifact available")]},
    )  # fmt: skip
    found = _finding("HelmRelease", "longhorn", release("longhorn", failed), chart, repository)
    assert [link.split("/")[0] for link in _chain(found)] == ["helmrelease", "helmchart", "helmrepository"]
    assert found.remedy.startswith("the branch, tag or repository does not exist")


def test_a_release_that_gave_up_although_all_is_well_by_now() -> None:
    failed = ready("False", "InstallFailed", "Helm install failed: context deadline exceeded")
    found = _finding("HelmRelease", "traefik", release("traefik", failed), *foreign.chart("traefik"))
    assert found.remedy.startswith("everything is ready by now: `nerv reconcile helmrelease/traefik-system/traefik")


def _pod(key: str, container: Object, *, node: str = "nerv-1", **spec: Any) -> Object:
    conditions = [ready("False", "ContainersNotReady", "containers with unready status: [c]")]
    if not node:
        conditions = [ready("False", "Unschedulable", container["unschedulable"], "PodScheduled")]
    statuses = [] if "unschedulable" in container else [{"name": "c", "ready": False, "restartCount": 3, **container}]
    placed = {"nodeName": node} if node else {}
    status = {"phase": "Pending", "conditions": conditions, "containerStatuses": statuses}
    return obj("v1", "Pod", key, spec={"containers": [{"name": "c"}], **placed, **spec}, status=status)


@pytest.mark.parametrize(
    ("container", "remedy"),
    [
        ({"state": {"waiting": {"reason": "ErrImagePull", "message": "denied"}}}, "the image cannot be pulled"),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            "it used more memory than its limit",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            },
            "it ends again and again: `nerv logs pod/default/p --previous`",
        ),
        (
            {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "login" not found'}}},
            "make the ConfigMap or Secret that is missing",
        ),
    ],
)
def test_what_the_kubelet_says_of_a_container(container: Object, remedy: str) -> None:
    assert _finding("Pod", "p", _pod("default/p", container), foreign.node()).remedy.startswith(remedy)


def test_a_pod_that_fits_nowhere() -> None:
    waiting = {"unschedulable": "0/1 nodes are available: 1 Insufficient memory."}
    assert _finding("Pod", "p", _pod("default/p", waiting, node="")).remedy.startswith("no node has that much left")


def test_a_pod_waits_for_its_claim_and_the_claim_for_its_provisioner() -> None:
    claim = obj(
        "v1", "PersistentVolumeClaim", "default/data", spec={"storageClassName": "longhorn"},
        status={"phase": "Pending"}, annotations={"volume.kubernetes.io/selected-node": "nerv-1"},
    )  # fmt: skip
    pod = _pod(
        "default/p", {"unschedulable": "pod has unbound immediate PersistentVolumeClaims"}, node="",
        volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
    )  # fmt: skip
    event = {
        **obj("v1", "Event", "default/e"), "type": "Warning", "reason": "ProvisioningFailed",
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data"},
        "message": "failed to provision volume: insufficient storage", "lastTimestamp": "2026-11-25T12:00:00Z",
    }  # fmt: skip
    found = _finding("Pod", "p", pod, claim, event)
    assert _chain(found) == ["pod/default/p", "persistentvolumeclaim/default/data"]
    assert found.remedy.startswith("look at Longhorn")
    missing = _finding("Pod", "p", pod)
    assert (missing.cause.object, missing.cause.says) == ("persistentvolumeclaim/default/data", "does not exist")


def test_pods_of_a_node_that_is_gone_point_at_the_node() -> None:
    node = foreign.node()
    node["status"]["conditions"] = [ready("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")]
    found = _finding("Pod", "p", _pod("default/p", {"state": {}}), node)
    assert found.cause.object == "node/nerv-1"
    assert "journalctl -u k3s" in found.remedy


def test_a_refused_pod_is_told_by_its_replica_set() -> None:
    deployment, replicas, _ = foreign.workload("default/web", "web", pulled=False)
    replicas["status"]["conditions"] = [
        ready(
            "True",
            "FailedCreate",
            'pods "web-" is forbidden: violates PodSecurity "restricted:latest"',
            "ReplicaFailure",
        )
    ]
    replicas["status"] |= {"replicas": 0, "observedGeneration": 1}
    found = _finding("Deployment", "web", deployment, replicas)
    assert found.remedy.startswith("the namespace's Pod Security level refuses the pod")


def test_a_job_is_in_trouble_when_its_pods_are_and_not_because_it_runs() -> None:
    job = obj("batch/v1", "Job", "default/backup", spec={}, status={"active": 1, "startTime": "2026-11-25T12:00:00Z"})
    failing = _pod("default/backup-x", {"state": {"terminated": {"exitCode": 1, "reason": "Error"}}})
    failing["metadata"]["ownerReferences"] = foreign.owned(job)
    found = _finding("Job", "backup", job, failing, foreign.node())
    assert _chain(found) == ["job/default/backup", "pod/default/backup-x"]
    assert why.findings(why.facts_of([job, foreign.node()])) == []


def test_a_certificate_waits_for_its_issuer() -> None:
    spec = {"secretName": "tls", "issuerRef": {"kind": "ClusterIssuer", "name": "home-ca"}}
    status = {"conditions": [ready("False", "DoesNotExist", "Issuing certificate as Secret does not exist")]}
    certificate = obj("cert-manager.io/v1", "Certificate", "a/tls", spec=spec, status=status)
    broken = {"conditions": [ready("False", "ErrGetKeyPair", 'Error getting keypair: secrets "home-ca" not found')]}
    issuer = obj("cert-manager.io/v1", "ClusterIssuer", "home-ca", spec={}, status=broken)
    found = _finding("Certificate", "tls", certificate, issuer)
    assert _chain(found) == ["certificate/a/tls", "clusterissuer/home-ca"]
    assert found.remedy.startswith("the authority's Secret")


def test_a_webhook_that_does_not_answer_points_at_the_pod_behind_it() -> None:
    message = (
        'failed calling webhook "webhook.cert-manager.io": failed to call webhook: Post '
        '"https://cert-manager-webhook.cert-manager.svc:443/validate?timeout=30s": connection refused'
    )
    failed = kustomization("apps-config", ready("False", "ReconciliationFailed", message), [])
    service = obj("v1", "Service", "cert-manager/cert-manager-webhook", spec={"selector": {"app": "webhook"}})
    pod = _pod("cert-manager/hook", {"state": {"waiting": {"reason": "ErrImagePull", "message": "x"}}})
    pod["metadata"]["labels"] = {"app": "webhook"}
    found = _finding("Kustomization", "apps-config", foreign.source(), failed, service, pod)
    assert found.cause.object == "pod/cert-manager/hook"


def test_an_address_that_no_pool_has_left() -> None:
    service = obj("v1", "Service", "a/web", spec={"type": "LoadBalancer", "ports": []}, status={"loadBalancer": {}})
    event = {
        **obj("v1", "Event", "a/e"), "type": "Warning", "reason": "AllocationFailed",
        "involvedObject": {"kind": "Service", "namespace": "a", "name": "web"},
        "message": 'Failed to allocate IP for "a/web": no available IPs', "lastTimestamp": "2026-11-25T12:00:00Z",
    }  # fmt: skip
    assert "enlarge it" in _finding("Service", "web", service, event).remedy


_NAMES = "abcdef"


@given(st.dictionaries(st.sampled_from(_NAMES), st.lists(st.sampled_from(_NAMES), max_size=3, unique=True), min_size=1),
       st.sets(st.sampled_from(_NAMES)))  # fmt: skip
def test_every_chain_ends_at_something_that_waits_for_nobody(graph: dict[str, list[str]], broken: set[str]) -> None:
    """Whatever depends on whatever, circles and missing ones included."""
    found = [foreign.source()]
    for name, after in graph.items():
        condition = ready("False", "BuildFailed", "bad") if name in broken else NOT_READY if after else DONE
        found.append(kustomization(name, condition, [], dependsOn=[{"name": each} for each in after]))
    facts = why.facts_of(found)
    for name in graph:
        finding = why.explain(Key("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", name), facts)
        if finding is None:
            assert name not in broken
            assert not graph[name]
            continue
        chain = [link.object.rpartition("/")[2] for link in finding.chain]
        assert len(chain) == len(set(chain))
        assert chain[0] == name
        assert all(after in graph[before] for before, after in itertools.pairwise(chain))
        assert finding.remedy
