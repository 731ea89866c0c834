"""The command line against a cluster that NERV did not start, reached by its kubeconfig alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support import apiserver
from tests.support.flux import install
from tests.support.foreign import Foreign, foreign

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


async def test_hosts_names_the_real_address(cluster: Foreign) -> None:
    done = await cluster.nerv("hosts", code=1)
    assert "the dashboards have no address yet" in done.stderr  # there is no IngressRoute in this cluster
