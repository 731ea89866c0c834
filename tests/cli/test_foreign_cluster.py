"""The command line against a cluster that NERV did not start, reached by its kubeconfig alone."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support import apiserver
from tests.support.flux import install
from tests.support.foreign import Foreign, foreign, obj, put, run
from tests.support.platforms import SMALL

from nerv.apiserver.identity import ADMIN

pytestmark = [pytest.mark.timeout(120)]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Foreign]:
    async with foreign(tmp_path) as running:
        yield running


async def test_status_is_that_of_the_cluster(cluster: Foreign) -> None:
    text = (await cluster.nerv("status", code=1)).stdout
    assert text.startswith(f"home on {cluster.server.url}, Kubernetes v1.31")
    assert "1 of 3 Kustomizations Ready, 1 of 2 HelmReleases Ready, 1 of 2 pods Running" in text
    assert "Pods            1 of 2 Running in 2 namespaces\n" in text  # no runtime is made up for pods of others
    assert "Address         192.168.1.111 on Service traefik-system/traefik\n" in text
    assert "Not installed   IngressRoute" in text
    assert "Pod longhorn-system/longhorn-ui-5d9-x7k2p: longhorn-ui: Back-off pulling image" in text
    told = json.loads((await cluster.nerv("status", "-o", "json", code=1)).stdout)
    assert (told["name"], told["engine"], told["healthy"]) == ("home", "", False)
    assert "helmrelease/longhorn-system/longhorn" in (await cluster.nerv("status", "-o", "name", code=1)).stdout


async def test_what_may_not_be_read_is_said_and_never_called_healthy(cluster: Foreign) -> None:
    nobody = cluster.user("nobody")
    text = (await cluster.nerv("status", code=1, kubeconfig=nobody)).stdout
    assert 'Not readable    nodes is forbidden: User "nobody" cannot list resource "nodes"' in text
    done = await cluster.nerv("get", "pods", code=1, kubeconfig=nobody)
    assert done.stderr.startswith('nerv: pods is forbidden: User "nobody" cannot list resource "pods"')
    assert done.stderr.rstrip().endswith("(name a namespace with -n)")
    everything = await cluster.nerv("get", "all", code=1, kubeconfig=nobody)
    assert len([line for line in everything.stderr.splitlines() if "is forbidden" in line]) >= 8


async def test_a_cluster_without_flux_is_told_in_one_line(tmp_path: Path) -> None:
    async with foreign(tmp_path, []) as bare:
        # tests.support.flux.install brings the definitions, so take the group away by asking for another cluster
        assert "no Kustomization is there yet" in (await bare.nerv("status", code=1)).stdout
    folder = tmp_path / "second"
    folder.mkdir()
    async with apiserver.running(folder, serving=apiserver.serving()) as server:
        empty = Foreign(server, server.direct(ADMIN), apiserver.kubeconfig(server, folder), folder)
        text = (await empty.nerv("status", code=1)).stdout
        assert "Flux is not installed" in text
        done = await empty.nerv("get", "ks", code=1)
        assert done.stderr == (
            "nerv: Kustomizations: kustomizations.kustomize.toolkit.fluxcd.io is not installed in this cluster\n"
        )
        await install(empty.client)
        assert "no ks in this cluster" in (await empty.nerv("get", "ks")).stderr


async def test_a_cluster_that_is_down_is_told_in_one_line(tmp_path: Path) -> None:
    async with foreign(tmp_path, []) as gone:
        url = gone.server.url
    for verb in (("status",), ("get", "pods"), ("hosts",)):
        done = await gone.nerv(*verb, code=1)
        assert done.stderr == f"nerv: the API server {url} does not answer: connection refused\n"


async def test_get_shows_any_kind_in_every_form(cluster: Foreign) -> None:
    text = (await cluster.nerv("get", "hr")).stdout.splitlines()
    assert text[0].split() == ["NAMESPACE", "NAME", "READY", "REVISION", "SUSPENDED", "AGE", "MESSAGE"]
    assert text[1].split()[:4] == ["longhorn-system", "longhorn", "False", "1.9.1"]
    assert "context deadline exceeded" in text[1]
    assert (await cluster.nerv("get", "deploy", "-o", "name", "-n", "traefik-system")).stdout == (
        "deployment/traefik-system/traefik\n"
    )
    assert (await cluster.nerv("get", "pods", "-l", "app=longhorn-ui", "-o", "name")).stdout == (
        "pod/longhorn-system/longhorn-ui-5d9-x7k2p\n"
    )
    assert (await cluster.nerv("get", "ks", "--not-ready", "-o", "name")).stdout.split() == [
        "kustomization/flux-system/apps",
        "kustomization/flux-system/apps-config",
    ]
    one = json.loads((await cluster.nerv("get", "ks/flux-system/apps", "-o", "json")).stdout)
    assert one["metadata"]["name"] == "apps"
    listed = json.loads((await cluster.nerv("get", "nodes", "-o", "json")).stdout)
    assert (listed["kind"], len(listed["items"])) == ("List", 1)


async def test_dashboards_are_reached_at_the_real_address_with_the_clusters_authority(cluster: Foreign) -> None:
    done = await cluster.nerv("hosts", code=1)
    assert "the dashboards have no address yet" in done.stderr  # there is no IngressRoute in this cluster
    await _with_dashboard(cluster)
    hosts = (await cluster.nerv("hosts")).stdout
    assert "192.168.1.111 flux.nerv.local\n" in hosts
    assert f"sudo nerv hosts --apply --kubeconfig {cluster.kubeconfig}" in hosts
    assert (await cluster.nerv("trust")).stdout.startswith("sudo nerv trust --apply --kubeconfig")
    kept = cluster.home / "config" / "nerv" / "home" / "dashboards-ca.crt"
    assert kept.read_text() == apiserver.authority().certificate
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "https://flux.nerv.local/" in (await cluster.nerv("status", code=1)).stdout


async def _with_dashboard(cluster: Foreign) -> None:
    """A route of Traefik's, and the Secret in which cert-manager keeps the authority."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "IngressRoute", "listKind": "IngressRouteList", "plural": "ingressroutes"}
    definition = obj(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", "ingressroutes.traefik.io",
        spec={"group": "traefik.io", "scope": "Namespaced", "names": names, "versions": [version]},
    )  # fmt: skip
    await put(cluster.client, definition)
    route = {"routes": [{"match": "Host(`flux.nerv.local`)", "kind": "Rule"}]}
    await put(cluster.client, obj("traefik.io/v1alpha1", "IngressRoute", "nerv-system/flux", spec=route))
    secret = obj("v1", "Secret", "cert-manager/home-ca")
    encoded = base64.b64encode(apiserver.authority().certificate.encode()).decode()
    await put(cluster.client, {**secret, "data": {"tls.crt": encoded}})


async def test_a_platform_that_was_deployed_is_meant_where_it_does_not_run_and_that_is_said(cluster: Foreign) -> None:
    folder = cluster.home / "home"
    folder.mkdir()
    (folder / "nerv.yaml").write_text(SMALL)
    kept = cluster.home / "config" / "nerv" / "home" / "kubeconfig"
    kept.parent.mkdir(parents=True)
    kept.write_text(cluster.kubeconfig.read_text())
    done = await run("-C", str(folder), "suspend", "hr/traefik")
    assert done.stdout == "helmrelease/traefik-system/traefik: suspended\n"
    assert done.stderr == f"{folder} does not run here; this is the cluster at {cluster.server.url}\n"


async def test_a_user_of_one_namespace_sees_that_one(cluster: Foreign) -> None:
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    role = {**obj("rbac.authorization.k8s.io/v1", "Role", "longhorn-system/reader"), "rules": rules}
    binding = {
        **obj("rbac.authorization.k8s.io/v1", "RoleBinding", "longhorn-system/reader"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "guest", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    for each in (role, binding):
        await put(cluster.client, each)
    guest = cluster.user("guest")
    told = (await cluster.nerv("get", "hr", "-n", "longhorn-system", kubeconfig=guest)).stdout
    assert told.splitlines()[1].split()[:2] == ["longhorn-system", "longhorn"]
    tree = (await cluster.nerv("tree", "hr/longhorn", "-n", "longhorn-system", kubeconfig=guest)).stdout
    assert "Pod longhorn-ui-5d9-x7k2p" in tree
    refused = await cluster.nerv("suspend", "hr/longhorn", "-n", "longhorn-system", code=1, kubeconfig=guest)
    assert refused.stderr.startswith('nerv: helmreleases.helm.toolkit.fluxcd.io "longhorn" is forbidden: User "guest"')


async def test_why_leads_from_the_symptom_to_the_pod(cluster: Foreign) -> None:
    told = (await cluster.nerv("why", code=1)).stdout
    assert "○ kustomization/flux-system/apps-config  dependency 'flux-system/apps' is not ready" in told
    assert "Cause   pod/longhorn-system/longhorn-ui-5d9-x7k2p: " in told
    assert "Remedy  the image cannot be pulled" in told
    found = json.loads((await cluster.nerv("why", "ks/apps", "-o", "json", code=1)).stdout)
    assert [link["object"].split("/")[0] for link in found[0]["chain"]] == [
        "kustomization", "helmrelease", "deployment", "replicaset", "pod",
    ]  # fmt: skip
    assert (await cluster.nerv("why", "node/nerv-1")).stdout == "nothing is wrong with node/nerv-1\n"
    nobody = await cluster.nerv("why", code=1, kubeconfig=cluster.user("nobody"))
    assert "not readable, so the cause may stand there: nodes is forbidden" in nobody.stderr


async def test_tree_reads_the_objects_of_a_release_from_helms_record(cluster: Foreign) -> None:
    told = (await cluster.nerv("tree", "ks/apps")).stdout
    assert "✗ HelmRelease longhorn-system/longhorn  Helm install failed" in told
    assert "○ Pod longhorn-ui-5d9-x7k2p  longhorn-ui: Back-off pulling image" in told
    names = (await cluster.nerv("tree", "hr/longhorn", "-o", "name")).stdout.split()
    assert names == [
        "helmrelease/longhorn-system/longhorn",
        "deployment/longhorn-system/longhorn-ui",
        "replicaset/longhorn-system/longhorn-ui-5d9",
        "pod/longhorn-system/longhorn-ui-5d9-x7k2p",
        "configmap/longhorn-system/longhorn-default-setting",
    ]


async def test_trace_ends_at_the_revision(cluster: Foreign) -> None:
    told = (await cluster.nerv("trace", "pod/longhorn-ui-5d9-x7k2p", "-n", "longhorn-system")).stdout.splitlines()
    assert told[-1].split() == [
        "content", "from", "gitrepository/flux-system/flux-system", "main@sha1:0f0ab0c4", "Current",
        "ssh://git@github.com/you/home",
    ]  # fmt: skip


async def test_events_of_an_object_are_those_of_its_pods_too(cluster: Foreign) -> None:
    told = (await cluster.nerv("events", "deployment/longhorn-ui")).stdout
    assert "Warning   Failed   pod/longhorn-system/longhorn-ui-5d9-x7k2p   Failed to pull image" in told
    assert "no events" in (await cluster.nerv("events", "node/nerv-1")).stderr


async def test_suspending_and_asking_are_the_standard_fields(cluster: Foreign) -> None:
    done = await cluster.nerv("suspend", "ks/apps", "hr/traefik")
    assert done.stdout == "kustomization/flux-system/apps: suspended\nhelmrelease/traefik-system/traefik: suspended\n"
    refused = await cluster.nerv("reconcile", "ks/apps", code=1)
    assert "is suspended (`nerv resume kustomization/flux-system/apps`)" in refused.stderr
    held = (await cluster.nerv("why", "ks/apps-config", code=1)).stdout
    assert "Remedy  it is held by hand: `nerv resume kustomization/flux-system/apps`" in held
    assert (await cluster.nerv("resume", "ks/apps", "--no-wait")).stdout == "kustomization/flux-system/apps: resumed\n"
    await cluster.nerv("reconcile", "hr/longhorn", "--no-wait", "--force", "--reset")
    resource = await cluster.client.resource_for("helm.toolkit.fluxcd.io/v2", "HelmRelease")
    asked = (await cluster.client.get(resource, "longhorn", "longhorn-system"))["metadata"]["annotations"]
    assert len(set(asked.values())) == 1
    assert {name.rpartition("/")[2] for name in asked} == {"requestedAt", "forceAt", "resetAt"}


async def test_a_time_out_names_what_was_waited_for(cluster: Foreign) -> None:
    done = await cluster.nerv("reconcile", "ks/apps", "--timeout", "0.5s", code=1)
    assert done.stderr.splitlines()[-1] == (
        "nerv: kustomization/flux-system/apps still waits for the reconciliation after 0.5 s: timeout waiting for: "
        "[HelmRelease/longhorn-system/longhorn status: 'Failed'] (`nerv why kustomization/flux-system/apps`)"
    )


async def test_waiting_ends_with_what_is_ready_and_names_what_is_not(cluster: Foreign) -> None:
    done = await cluster.nerv("wait", "hr/traefik", "deploy/traefik")
    assert done.stdout == "helmrelease/traefik-system/traefik is ready\ndeployment/traefik-system/traefik is ready\n"
    late = await cluster.nerv("wait", "deploy/longhorn-ui", "--timeout", "0.5s", code=1)
    assert "deployment/longhorn-system/longhorn-ui still waits for readiness after 0.5 s" in late.stderr
    all_of_it = await cluster.nerv("wait", "--timeout", "1s", code=1)
    assert all_of_it.stderr.splitlines()[-1].startswith(
        "nerv: not healthy after 1 s, it still waits for Kustomization flux-system/apps: timeout waiting for"
    )
    nobody = await cluster.nerv("wait", code=1, kubeconfig=cluster.user("nobody"))
    assert "is forbidden" in nobody.stderr


async def test_references_are_forgiving_and_exact(cluster: Foreign) -> None:
    assert "did you mean kustomization/flux-system/apps" in (await cluster.nerv("tree", "ks/app", code=1)).stderr
    assert "names no object" in (await cluster.nerv("tree", "apps", code=1)).stderr
    second = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "traefik", "namespace": "longhorn-system"},
        "spec": {"ports": [{"port": 80}]},
    }  # fmt: skip
    await cluster.client.create(await cluster.client.resource_for("v1", "Service"), second)
    both = (await cluster.nerv("trace", "svc/traefik", code=1)).stderr
    assert "there are 2 services traefik (service/longhorn-system/traefik or service/traefik-system/traefik)" in both
    assert (await cluster.nerv("trace", "svc/traefik-system/traefik")).stdout
