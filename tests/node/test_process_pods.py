"""Pods as real processes, in namespaces of their own."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime, timedelta
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


async def test_a_pod_that_takes_over_has_the_time_that_it_asks_for(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"web": web_server()}) as world:
        for name, delay in (("old", 600), ("new", 3)):
            probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": delay}}
            spec = pod(name, "web", "80", "--directory", "/etc", container=probe)
            spec["metadata"]["labels"] = {"app": "web", "pod-template-hash": name}
            await world.create(PODS, spec)
            found = await world.wait(PODS, name, is_ready)
        began = found["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        ready = next(each["lastTransitionTime"] for each in found["status"]["conditions"] if each["type"] == "Ready")
        waited = datetime.fromisoformat(ready) - datetime.fromisoformat(began)
        assert waited >= timedelta(seconds=2)  # three, less what whole seconds cut off


async def test_a_program_that_lies_below_tmp_runs_although_the_pod_has_its_own(tmp_path: Path) -> None:
    # a checkout below /tmp, and a pod that mounts an emptyDir there as the console's does
    program = tmp_path / "bin" / "sleeper"
    program.parent.mkdir()
    shutil.copy("/bin/sleep", program)
    async with cluster(tmp_path, {"sleeper": ProcessProgram((str(program),))}) as world:
        mount = {"volumeMounts": [{"name": "temporary", "mountPath": "/tmp"}]}
        volumes = [{"name": "temporary", "emptyDir": {}}]
        await world.create(PODS, pod("sleeper", "sleeper", "600", container=mount, volumes=volumes))
        found = await world.wait(PODS, "sleeper", is_ready)
        assert found["status"]["containerStatuses"][0]["restartCount"] == 0


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


async def test_a_pod_reaches_the_api_server_as_its_service_account(tmp_path: Path) -> None:
    script = """
import ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=folder + "ca.crt")
context.check_hostname = False  # the tests' certificate is for 127.0.0.1
request = urllib.request.Request(
    "https://10.43.0.1/apis/authentication.k8s.io/v1/selfsubjectreviews",
    data=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
    headers={"Authorization": "Bearer " + open(folder + "token").read(), "Content-Type": "application/json"},
)
open("/dev/termination-log", "wb").write(urllib.request.urlopen(request, context=context).read())
"""
    async with cluster(tmp_path, {"python": ProcessProgram((sys.executable,))}) as world:
        await world.create(PODS, pod("who", "python", "-c", script, restartPolicy="Never"))
        found = await world.wait(PODS, "who", lambda obj: obj["status"].get("phase") in ("Succeeded", "Failed"))
        message = found["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
        user = json.loads(message)["status"]["userInfo"]
        assert user["username"] == "system:serviceaccount:default:default"
        assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["who"]


async def test_pods_of_two_nodes_reach_each_other_and_a_host_network_pod_has_the_nodes_address(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"web": web_server(), "python": ProcessProgram((sys.executable,))}) as world:
        await world.start_node("n2", 2)
        await world.create(PODS, pod("web", "web", "80", "--directory", "/etc", nodeName="n1"))
        web = await world.wait(PODS, "web", is_ready)
        await world.create(PODS, pod("host", "web", "8081", "--directory", "/etc", nodeName="n2", hostNetwork=True))
        host = await world.wait(PODS, "host", is_ready)
        assert host["status"]["podIP"] == "192.168.1.11"
        script = f"""
import time, urllib.request
def read(url):
    for _ in range(200):
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode().strip()
        except OSError:
            time.sleep(0.05)
open("/dev/termination-log", "w").write(read("http://{web["status"]["podIP"]}/hostname"))
"""
        await world.create(PODS, pod("other", "python", "-c", script, nodeName="n2", restartPolicy="Never"))
        other = await world.wait(PODS, "other", lambda obj: obj["status"].get("phase") in ("Succeeded", "Failed"))
        assert other["status"]["podIP"].startswith("10.42.1.")
        assert other["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "web"
        assert await eventually(lambda: http_get(world.network, "127.0.0.1", 8081, "/hostname"))
