"""Pods as real processes, in namespaces of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.nodes import cluster, eventually, http_get, is_ready, needs_namespaces, pod, web_server

from nerv.kube.resources import CONFIG_MAPS, PODS, SERVICES
from nerv.node.programs import ProcessProgram

pytestmark = needs_namespaces


async def test_a_pod_serves_at_its_address_and_behind_its_service(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"web": web_server()}) as world:
        await world.create(CONFIG_MAPS, {"metadata": {"name": "site"}, "data": {"index.txt": "hello"}})
        spec = pod(
            "web",
            "registry.example/web:v1",
            "80",
            "--directory",
            "/srv/site",
            container={
                "ports": [{"name": "http", "containerPort": 80}],
                "volumeMounts": [{"name": "site", "mountPath": "/srv/site"}],
                "readinessProbe": {"httpGet": {"path": "/index.txt", "port": "http"}, "initialDelaySeconds": 30},
            },
            volumes=[{"name": "site", "configMap": {"name": "site"}}],
        )
        await world.create(PODS, spec)
        found = await world.wait(PODS, "web", is_ready)
        ports = [{"port": 8080, "targetPort": "http"}]
        await world.create(
            SERVICES,
            {
                "metadata": {"name": "web"},
                "spec": {"clusterIP": "10.43.0.50", "selector": {"app": "web"}, "ports": ports},
            },
        )
        status = found["status"]
        assert status["phase"] == "Running"
        assert status["podIP"].startswith("10.42.0.")
        assert found["metadata"]["annotations"]["nerv.dev/runtime"] == "process"
        assert (await http_get(world.network, status["podIP"], 80, "/index.txt")).endswith(b"hello")
        assert await eventually(lambda: http_get(world.network, "10.43.0.50", 8080, "/index.txt"))
        name = "web.default.svc.cluster.local"
        assert await eventually(lambda: http_get(world.network, name, 8080, "/index.txt"))
        for expected in ("Scheduled", "Pulled", "Created", "Started"):
            assert expected in await eventually(lambda: world.reasons("web"))
        await world.client.patch(CONFIG_MAPS, "site", "default", {"data": {"index.txt": "changed"}})

        async def changed() -> bool:
            return (await http_get(world.network, status["podIP"], 80, "/index.txt")).endswith(b"changed")

        await eventually(changed, "the new content")


async def test_the_real_traefik_routes_from_its_pod_to_a_service_by_name(tmp_path: Path) -> None:
    programs = {"web": web_server(), "traefik": ProcessProgram((str(Path(sys.prefix) / "bin" / "traefik"),))}
    async with cluster(tmp_path, programs) as world:
        await world.create(PODS, pod("web", "web", "80", "--directory", "/etc/kubernetes-site", **_site()))
        await world.create(CONFIG_MAPS, {"metadata": {"name": "site"}, "data": {"index.txt": "through traefik"}})
        await world.create(
            SERVICES,
            {
                "metadata": {"name": "web"},
                "spec": {"clusterIP": "10.43.0.50", "selector": {"app": "web"}, "ports": [{"port": 80}]},
            },
        )
        routes = {
            "http": {
                "routers": {"web": {"rule": "PathPrefix(`/`)", "service": "web"}},
                "services": {"web": {"loadBalancer": {"servers": [{"url": "http://web.default.svc.cluster.local"}]}}},
            }
        }
        await world.create(CONFIG_MAPS, {"metadata": {"name": "routes"}, "data": {"all.yaml": json.dumps(routes)}})
        await world.create(
            PODS,
            pod(
                "traefik",
                "docker.io/traefik:v3.5.3",
                "--entrypoints.web.address=:8000/tcp",
                "--ping=true",
                "--ping.entrypoint=web",
                "--providers.file.directory=/etc/traefik/routes",
                container={
                    "volumeMounts": [{"name": "routes", "mountPath": "/etc/traefik/routes", "readOnly": True}],
                    "readinessProbe": {"httpGet": {"path": "/ping", "port": 8000}, "initialDelaySeconds": 2},
                    "securityContext": {"runAsUser": 65532, "runAsNonRoot": True, "readOnlyRootFilesystem": True},
                },
                volumes=[{"name": "routes", "configMap": {"name": "routes"}}],
            ),
        )
        traefik = await world.wait(PODS, "traefik", is_ready)

        async def routed() -> bytes:
            answer = await http_get(world.network, traefik["status"]["podIP"], 8000, "/index.txt")
            return answer if b"through traefik" in answer else b""

        assert await eventually(routed, "an answer through Traefik")


def _site() -> dict[str, Any]:
    return {
        "container": {"volumeMounts": [{"name": "site", "mountPath": "/etc/kubernetes-site"}]},
        "volumes": [{"name": "site", "configMap": {"name": "site"}}],
    }
