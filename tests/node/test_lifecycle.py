"""What becomes of pods: ends, restarts, deletion, missing content, and the return of a node."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.nodes import DRIVERS, World, cluster, eventually, is_ready, pod, proxy_network, shell

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, EVENTS, JOBS, NODES, PODS, SECRETS
from nerv.node.programs import EmbeddedProgram, PodContext


async def _count(context: PodContext) -> int:
    context.log(f"{context.environment['WHO']} at {context.address}")
    return int(context.arguments[0])


async def _fail(context: PodContext) -> int:
    raise RuntimeError("this went wrong")


@pytest.fixture(params=DRIVERS)
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    programs = {
        "sh": shell(),
        "count": EmbeddedProgram(_count),
        "broken": EmbeddedProgram(_fail),
        "reconciled": EmbeddedProgram(),
    }
    async with cluster(tmp_path, programs, driver=request.param) as made:
        yield made


def _state(obj: Object, kind: str) -> Any:
    statuses = obj.get("status", {}).get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get(kind)


async def _read(world: World, name: str, restarts: int = 0) -> str:
    obj = world.informers.of(PODS).get("default", name)
    assert obj is not None
    path = world.folder / "n1" / "pods" / obj["metadata"]["uid"] / "main" / f"{restarts}.log"
    return "".join(line.split(" ", 3)[3] for line in path.read_text().splitlines(keepends=True))


async def test_a_simulated_pod_is_ready_at_once_and_does_not_pretend(world: World) -> None:
    made = pod("speaker", "quay.io/metallb/speaker:v0.15.2", hostNetwork=True)
    made["spec"]["initContainers"] = [{"name": "copy", "image": "quay.io/frrouting/frr:9"}]
    await world.create(PODS, made)
    found = await world.wait(PODS, "speaker", is_ready)
    status = found["status"]
    assert found["metadata"]["annotations"]["nerv.dev/runtime"] == "simulated"
    assert status["podIP"] == status["hostIP"] == "192.168.1.10"
    assert status["podIPs"] == [{"ip": "192.168.1.10"}]
    assert status["qosClass"] == "BestEffort"
    assert {each["type"]: each["status"] for each in status["conditions"]} == dict.fromkeys(
        ("PodScheduled", "Initialized", "ContainersReady", "Ready", "PodReadyToStartContainers"), "True"
    )
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert status["containerStatuses"][0]["started"] is True
    assert status["containerStatuses"][0]["imageID"] == "nerv.dev/simulated/metallb/speaker"

    async def told() -> bool:
        return "Started container main (simulated: no program runs)" in await world.messages("speaker")

    await eventually(told)


async def test_a_missing_secret_keeps_even_a_simulated_pod_from_starting(world: World) -> None:
    volume = {"name": "list", "secret": {"secretName": "memberlist"}}
    await world.create(PODS, pod("speaker", "example/speaker", volumes=[volume]))
    found = await world.wait(PODS, "speaker", lambda obj: _state(obj, "waiting"))
    assert _state(found, "waiting") == {"reason": "ContainerCreating"}
    assert found["status"]["phase"] == "Pending"

    async def told() -> bool:
        expected = 'MountVolume.SetUp failed for volume "list" : secret "memberlist" not found'
        return expected in await world.messages("speaker")

    await eventually(told)
    await world.create(SECRETS, {"metadata": {"name": "memberlist"}, "data": {}})
    await world.wait(PODS, "speaker", is_ready)


async def test_a_program_that_ends_makes_the_pod_succeed_or_fail(world: World) -> None:
    script = "echo the reason > /dev/termination-log; exit 4"
    await world.create(PODS, pod("bad", "sh", "-c", script, restartPolicy="Never"))
    await world.create(PODS, pod("good", "sh", "-c", "exit 0", restartPolicy="Never"))
    bad = await world.wait(PODS, "bad", lambda obj: obj["status"].get("phase") == "Failed")
    good = await world.wait(PODS, "good", lambda obj: obj["status"].get("phase") == "Succeeded")
    assert _state(bad, "terminated")["exitCode"] == 4
    assert _state(bad, "terminated")["reason"] == "Error"
    assert _state(bad, "terminated")["message"] == "the reason\n"
    assert _state(good, "terminated")["reason"] == "Completed"
    assert next(each for each in good["status"]["conditions"] if each["type"] == "Ready")["reason"] == "PodCompleted"


async def test_a_failing_container_is_restarted_and_then_backed_off(world: World) -> None:
    await world.create(PODS, pod("loop", "sh", "-c", "echo here; exit 1"))
    found = await world.wait(
        PODS, "loop", lambda obj: _state(obj, "waiting") and "CrashLoop" in str(_state(obj, "waiting"))
    )
    assert _state(found, "waiting")["message"].startswith("back-off 10s restarting failed container=main in pod loop_")
    entry = found["status"]["containerStatuses"][0]
    assert entry["restartCount"] == 1
    assert entry["lastState"]["terminated"]["exitCode"] == 1
    assert found["status"]["phase"] == "Running"

    async def told() -> bool:
        return "BackOff" in await world.reasons("loop")

    await eventually(told)


async def test_a_program_that_does_not_exist_in_the_pod_is_a_start_error(world: World) -> None:
    await world.create(
        PODS, pod("lost", "sh", "-c", "true", container={"workingDir": "/no/such"}, restartPolicy="Never")
    )
    found = await world.wait(PODS, "lost", lambda obj: obj["status"].get("phase") == "Failed")
    assert _state(found, "terminated")["reason"] == "StartError"
    assert "/no/such" in _state(found, "terminated")["message"]


async def test_a_job_is_done_by_its_embedded_program(world: World) -> None:
    container = {"name": "main", "image": "count", "args": ["0"], "env": [{"name": "WHO", "value": "me"}]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    await world.create(JOBS, {"metadata": {"name": "once"}, "spec": {"template": template}})
    await world.wait(JOBS, "once", lambda obj: obj.get("status", {}).get("succeeded") == 1)
    [found] = world.informers.of(PODS).list("default")
    assert found["metadata"]["annotations"]["nerv.dev/runtime"] == "embedded"
    assert await _read(world, found["metadata"]["name"]) == f"me at {found['status']['podIP']}\n"


async def test_an_embedded_program_that_raises_fails_and_says_why(world: World) -> None:
    await world.create(PODS, pod("broken", "broken", restartPolicy="Never"))
    found = await world.wait(PODS, "broken", lambda obj: obj["status"].get("phase") == "Failed")
    assert _state(found, "terminated")["exitCode"] == 1
    assert await _read(world, "broken") == "error: this went wrong\n"


async def test_a_job_without_a_program_does_not_blindly_succeed(world: World) -> None:
    container = {"name": "main", "image": "example/uninstall"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    await world.create(JOBS, {"metadata": {"name": "never"}, "spec": {"template": template, "backoffLimit": 0}})
    found = await world.wait(JOBS, "never", lambda obj: obj.get("status", {}).get("failed") == 1)
    assert not found["status"].get("succeeded")


async def test_init_containers_run_in_order_before_the_others(world: World) -> None:
    mounts = [{"name": "data", "mountPath": "/data/inner"}]
    made = pod(
        "ordered", "sh", "-c", "cat /data/inner/log; exec sleep 1000",
        container={"volumeMounts": mounts}, volumes=[{"name": "data", "emptyDir": {}}],
    )  # fmt: skip
    made["spec"]["initContainers"] = [
        {"name": name, "image": "sh", "args": ["-c", f"echo {name} >> /data/inner/log"], "volumeMounts": mounts}
        for name in ("first", "second")
    ]
    await world.create(PODS, made)
    await world.wait(PODS, "ordered", is_ready)

    async def printed() -> bool:
        return await _read(world, "ordered") == "first\nsecond\n"

    await eventually(printed)


async def test_deletion_sends_sigterm_and_waits_for_the_program(world: World) -> None:
    script = "trap 'echo bye > /data/bye; exit 0' TERM; touch /data/up; while true; do sleep 0.05; done"
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "kept"}}
    await _claim(world, "kept")
    made = pod(
        "polite", "sh", "-c", script,
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, volumes=[volume],
    )  # fmt: skip
    await world.create(PODS, made)
    place = world.folder / "claims" / "pv-kept"
    await eventually(lambda: (place / "up").exists())
    await world.client.delete(PODS, "polite", "default")
    await world.gone(PODS, "polite")
    assert (place / "bye").read_text() == "bye\n"
    assert "Killing" in await world.reasons("polite")


async def test_deletion_kills_what_does_not_end_in_time(world: World) -> None:
    await world.create(PODS, pod("deaf", "sh", "-c", "trap '' TERM; while true; do sleep 0.05; done"))
    await world.wait(PODS, "deaf", is_ready)
    await world.client.delete(PODS, "deaf", "default", grace_period=1)
    await world.gone(PODS, "deaf")


async def test_a_liveness_probe_that_fails_restarts_the_container(world: World) -> None:
    # not in /tmp: without isolation that is the machine's
    probe = {"exec": {"command": ["sh", "-c", "! test -e /data/sick"]}, "periodSeconds": 1, "failureThreshold": 1}
    script = "trap 'exit 1' TERM; sleep 0.2; touch /data/sick; while true; do sleep 0.05; done"
    container = {"livenessProbe": probe, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "emptyDir": {}}]
    await world.create(PODS, pod("sick", "sh", "-c", script, container=container, volumes=volumes))
    await world.wait(PODS, "sick", lambda obj: obj["status"].get("containerStatuses", [{}])[0].get("restartCount"))

    async def told() -> bool:  # events are written in the background
        return {"Unhealthy", "Killing"} <= set(await world.reasons("sick"))

    await eventually(told, "its events")


async def test_a_startup_probe_keeps_the_others_back_until_it_has_succeeded(world: World) -> None:
    await _claim(world, "kept")
    probes = {
        "startupProbe": "echo asked >> /data/asked; test -e /data/up",
        "livenessProbe": "touch /data/liveness",
        "readinessProbe": "touch /data/readiness",
    }
    container = {
        name: {"exec": {"command": ["sh", "-c", script]}, "periodSeconds": 1, "failureThreshold": 60}
        for name, script in probes.items()
    }
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]  # type: ignore[assignment]
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "kept"}}
    await world.create(PODS, pod("slow", "sh", "-c", "exec sleep 1000", container=container, volumes=[volume]))
    place = world.folder / "claims" / "pv-kept"
    asked = place / "asked"
    await eventually(lambda: asked.exists() and asked.read_text().count("asked") >= 12, "a dozen refusals")
    found = await world.wait(PODS, "slow", lambda obj: _state(obj, "running"))
    (entry,) = found["status"]["containerStatuses"]
    assert (entry["started"], entry["ready"], entry["restartCount"]) == (False, False, 0)
    assert sorted(path.name for path in place.iterdir()) == ["asked"]

    (place / "up").touch()
    found = await world.wait(PODS, "slow", is_ready)
    assert found["status"]["containerStatuses"][0]["started"] is True
    await eventually(lambda: {"liveness", "readiness"} <= {path.name for path in place.iterdir()}, "the other probes")
    before = asked.read_text()
    (place / "liveness").unlink()
    await eventually((place / "liveness").exists, "the next look at its life")
    assert asked.read_text() == before  # it is asked no more


async def test_a_startup_probe_that_fails_too_often_restarts_the_container(world: World) -> None:
    probe = {
        "exec": {"command": ["sh", "-c", "echo not yet; exit 1"]},
        "periodSeconds": 1,
        "failureThreshold": 2,
        "terminationGracePeriodSeconds": 1,
    }
    script = "trap '' TERM; while true; do sleep 0.05; done"
    container = {"startupProbe": probe, "livenessProbe": {"exec": {"command": ["false"]}, "failureThreshold": 1}}
    made = pod("never", "sh", "-c", script, container=container, terminationGracePeriodSeconds=600)
    await world.create(PODS, made)
    found = await world.wait(
        PODS, "never", lambda obj: obj["status"].get("containerStatuses", [{}])[0].get("restartCount")
    )
    assert found["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137

    async def told() -> set[tuple[str, str]]:  # events are written in the background
        listed = (await world.client.list(EVENTS, "default")).items
        said = {(each["reason"], each["message"]) for each in listed if each["involvedObject"]["name"] == "never"}
        return {pair for pair in said if pair[0] in ("Unhealthy", "Killing")} if "Killing" in dict(said) else set()

    assert await eventually(told, "its events") == {
        ("Unhealthy", "Startup probe failed: not yet"),
        ("Killing", "Container main failed startup probe, will be restarted"),
    }


async def test_a_node_that_comes_back_restarts_its_programs_in_the_same_pods(world: World) -> None:
    await world.create(PODS, pod("real", "sh", "-c", "echo up; exec sleep 1000"))
    await world.create(PODS, pod("pretend", "example/unknown"))
    before = await world.wait(PODS, "real", is_ready)
    pretend = await world.wait(PODS, "pretend", is_ready)
    await world.stop_nodes()
    condition = {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
    await world.client.patch(
        PODS, "pretend", "default", {"status": {"conditions": [condition]}}, type="strategic", subresource="status"
    )
    await world.start_node()
    after = await world.wait(
        PODS, "real", lambda obj: is_ready(obj) and obj["status"]["containerStatuses"][0]["restartCount"] == 1
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    last = after["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (255, "Unknown")
    again = await world.wait(PODS, "pretend", is_ready)
    assert again["status"]["containerStatuses"] == pretend["status"]["containerStatuses"]
    assert again["status"]["podIP"] == pretend["status"]["podIP"]


async def test_the_pod_sees_a_container_and_not_the_machine(world: World) -> None:
    script = """
        id -u; echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT; echo $ADDRESS; echo $(KEY)
        cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo
        test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token
        grep -c . /etc/hosts > /dev/null && echo "resolver: $(head -1 /etc/resolv.conf)"
        WRITE 2>/dev/null || echo read-only
        grep CapEff /proc/self/status; ls /proc | grep -c '^[0-9]'; exec sleep 1000
    """.replace("$(KEY)", "$KEY")
    local = world.network.host("192.168.1.10").local
    isolated = local is None or local.isolation != "none"
    script = script.replace("WRITE", "(echo x > /usr/x)" if isolated else "false")
    await world.create(CONFIG_MAPS, {"metadata": {"name": "settings"}, "data": {"KEY": "value"}})
    container = {
        "env": [{"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "securityContext": {"runAsUser": 1234},
    }
    await world.create(PODS, pod("inside", "sh", "-c", script, container=container))
    found = await world.wait(PODS, "inside", is_ready)

    async def printed() -> list[str]:
        lines = (await _read(world, "inside")).splitlines()
        return lines if len(lines) >= 10 else []

    lines = await eventually(printed, "the whole log")
    assert lines[2:6] == [found["status"]["podIP"], "value", "default", "token"]
    assert lines[8] == "CapEff:\t0000000000000000"
    if local is None:
        assert (lines[1], lines[6]) == ("10.43.0.1:443", "resolver: nameserver 10.43.0.10")
    elif isolated:
        # nothing outside of the cluster's own network may ask at its addresses
        assert (lines[1], lines[6]) == (f"127.0.0.1:{local.api[1]}", "resolver: ")
    if local is None or local.isolation == "user":
        assert lines[0] == "1234"
    if isolated:
        assert lines[7] == "read-only"
        assert int(lines[9]) < 6
    else:
        # the programs of such a pod use the kubeconfig, and status says what does not hold
        assert lines[1] == ":"
        assert any("see this user's files" in gap for gap in world.network.gaps)


@pytest.fixture
def users_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a secret. Not below /tmp, which every pod has of its own: there nothing would be seen anyway."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="nerv-home-") as folder:
        (Path(folder) / ".ssh").mkdir()
        (Path(folder) / ".ssh" / "id").write_text("the user's secret\n")
        (Path(folder) / "beside").write_text("and more\n")
        monkeypatch.setenv("HOME", folder)
        yield Path(folder)


AS_ROOT = pytest.param(
    functools.partial(proxy_network, "root"),
    id="proxy-as-root",
    marks=pytest.mark.skipif(os.geteuid() != 0, reason="pods have this isolation where NERV is run by root"),
)


@pytest.mark.parametrize("world", [*DRIVERS, AS_ROOT], indirect=True)
async def test_the_pod_does_not_see_the_users_home(world: World, users_home: Path) -> None:
    script = f"""
        cat {users_home}/.ssh/id 2>/dev/null || echo nothing; ls -A {users_home}/ | wc -l
        test -s /etc/shadow && echo passwords || echo none; exec sleep 1000
    """
    await world.create(PODS, pod("inside", "sh", "-c", script))
    await world.wait(PODS, "inside", is_ready)

    async def printed() -> list[str]:
        lines = (await _read(world, "inside")).splitlines()
        return lines if len(lines) >= 3 else []

    lines = await eventually(printed, "the whole log")
    local = world.network.host("192.168.1.10").local
    if local is None or local.isolation != "none":
        assert lines == ["nothing", "0", "none"]
    else:
        # such a pod runs as a process of the user alone, and status says that it sees what the user sees
        assert lines[:2] == ["the user's secret", "2"]
        assert any("see this user's files" in gap for gap in world.network.gaps)


async def test_pods_end_with_their_agent(world: World) -> None:
    await world.create(PODS, pod("real", "sh", "-c", "exec sleep 12345"))
    await world.wait(PODS, "real", is_ready)
    worker = world.agents[0].worker("default", "real")
    assert worker is not None
    pid = worker.containers[0].run.process.pid  # type: ignore[union-attr]
    assert Path(f"/proc/{pid}").exists()
    await world.stop_nodes()
    assert not Path(f"/proc/{pid}").exists()


async def _claim(world: World, name: str) -> None:
    from nerv.kube.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES

    size = {"storage": "1Gi"}
    reference = {"namespace": "default", "name": name, "kind": "PersistentVolumeClaim", "apiVersion": "v1"}
    volume = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": size,
        "csi": {"driver": "driver.longhorn.io", "volumeHandle": name},
        "claimRef": reference,
        "storageClassName": "longhorn",
        "persistentVolumeReclaimPolicy": "Retain",
    }
    await world.create(PERSISTENT_VOLUMES, {"metadata": {"name": f"pv-{name}"}, "spec": volume})
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": size},
        "storageClassName": "longhorn",
        "volumeName": f"pv-{name}",
    }
    await world.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": name}, "spec": spec})


async def test_a_node_that_was_given_up_says_that_it_is_ready_again(world: World) -> None:
    """The node life-cycle controller has marked it while the machine slept; a lease alone does not take that back."""
    await world.start_node("n2", 2, lease_seconds=1, status_interval=1e9)
    gone = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    await world.client.patch(NODES, "n2", None, {"status": {"conditions": [gone]}}, subresource="status")
    await world.wait(NODES, "n2", lambda node: not is_ready(node))
    found = await world.wait(NODES, "n2", is_ready)
    assert objects.condition(found, "Ready")["reason"] == "KubeletReady"
