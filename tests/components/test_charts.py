"""Our releases rendered by Helm: every chart takes our values, and what comes out fits the rest of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support import platforms

from nerv import documents
from nerv.apiserver.admission.podsecurity.standards import violations
from nerv.builders.helm import charts
from nerv.builders.helm.rendering import Capabilities, render
from nerv.components import catalog, objects
from nerv.components.catalog import CATALOG
from nerv.platform import versions
from nerv.rendering.tree import tree

PLATFORM = platforms.example("nerv")
TREE = tree(PLATFORM, platforms.public(PLATFORM))
ROOMS = Path(objects.__file__).parent
CHARTS = {
    "metallb": versions.METALLB,
    "traefik": versions.TRAEFIK,
    "longhorn": versions.LONGHORN,
    "cert-manager": versions.CERT_MANAGER,
}
CAPABILITIES = Capabilities("v1.31.4", ("apps/v1",))


async def rendered(name: str) -> list[dict[str, Any]]:
    """Objects and hooks of a component's release in the first platform."""
    folder = ROOMS / name.replace("-", "_") / "standin"
    release = documents.load(TREE[f"apps/{name}/release.yaml"])
    made = await render(
        charts.load(charts.package(folder)),
        name=release["spec"]["releaseName"],
        namespace=release["metadata"]["namespace"],
        values=release["spec"]["values"],
        capabilities=CAPABILITIES,
    )
    hooks = [obj for hook in made.hooks for obj in documents.load_all(hook.manifest)]
    return [*(manifest.object for manifest in made.manifests), *hooks]


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        obj["spec"]["template"] for obj in found if obj["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job")
    ]


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {obj["metadata"]["name"]: obj for obj in found if obj["kind"] == kind}


@pytest.mark.parametrize("name", CHARTS)
def test_stand_ins_have_the_pinned_version(name: str) -> None:
    chart = charts.load(charts.package(ROOMS / name.replace("-", "_") / "standin"))
    assert (chart.name, chart.version) == (CHARTS[name].name, CHARTS[name].version)


@pytest.mark.parametrize("name", CHARTS)
async def test_pods_are_admitted_in_their_namespace(name: str) -> None:
    (namespace,) = documents.load_all(TREE[f"apps/{name}/namespace.yaml"])
    level = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    templates = pods(await rendered(name))
    assert templates
    assert [found for pod in templates for found in violations(level, pod)] == []


@pytest.mark.parametrize("name", CHARTS)
async def test_somebody_does_the_work_of_every_image_but_hooks_of_longhorn(name: str) -> None:
    known = {program.image for component in CATALOG for program in component.programs}
    images = {
        container["image"].rpartition(":")[0].removeprefix("docker.io/").removeprefix("quay.io/")
        for pod in pods(await rendered(name))
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))
    }
    # the share manager serves shared volumes, which no part of NERV offers: its pods are simulations and say so
    assert images - known - {"longhornio/longhorn-share-manager"} == set()


async def test_traefik_runs_the_pinned_image_and_asks_for_the_address() -> None:
    found = await rendered("traefik")
    (pod,) = pods(found)
    assert pod["spec"]["containers"][0]["image"] == f"docker.io/traefik:{versions.TRAEFIK_IMAGE_TAG}"
    service = of_kind(found, "Service")["traefik"]
    assert service["metadata"]["annotations"] == {"metallb.io/loadBalancerIPs": "192.168.1.111"}
    assert service["spec"]["type"] == "LoadBalancer"
    arguments = " ".join(pod["spec"]["containers"][0]["args"])
    assert "--entryPoints.web.http.redirections.entryPoint.scheme=https" in arguments
    assert "--providers.kubernetescrd" in arguments


async def test_routes_of_policies_name_pods_and_ports_that_exist() -> None:
    (pod,) = pods(await rendered("traefik"))
    ports = {port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    for route in next(component for component in CATALOG if component.name == "traefik").routes:
        assert dict(route.labels).items() <= pod["metadata"]["labels"].items()
        assert route.port in ports


async def test_dashboards_lead_to_services_that_exist() -> None:
    ours = [
        obj
        for path, text in TREE.items()
        if path.startswith("apps-config/console/")
        for obj in documents.load_all(text)
    ]
    found = {"longhorn-system": await rendered("longhorn"), "nerv-system": ours}
    for dashboard in catalog.served(PLATFORM):
        if dashboard.port is None:
            assert dashboard.service == "api@internal"
            continue
        service = of_kind(found[dashboard.namespace], "Service")[dashboard.service]
        assert dashboard.port in {port["port"] for port in service["spec"]["ports"]}


async def test_longhorn_keeps_one_copy_and_runs_no_upgrade_check() -> None:
    found = await rendered("longhorn")
    jobs = of_kind(found, "Job")
    assert "longhorn-pre-upgrade" not in jobs
    text = documents.dump(of_kind(found, "ConfigMap"))
    assert 'numberOfReplicas: "1"' in text


async def test_the_speaker_runs_without_a_routing_daemon() -> None:
    speaker = of_kind(await rendered("metallb"), "DaemonSet")["metallb-speaker"]
    assert [container["name"] for container in speaker["spec"]["template"]["spec"]["containers"]] == ["speaker"]
