"""The status of pods as a function of their containers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nerv.kube.objects import Object
from nerv.node import status
from nerv.node.status import ContainerState, PodState

NOW, LATER = "2025-06-01T00:00:00Z", "2025-06-01T00:01:00Z"
WAITING = ContainerState("main", "x", "id")
RUNNING = replace(WAITING.running(NOW, "nerv://1"), started=True, ready=True)


def ended(code: int) -> ContainerState:
    return RUNNING.terminated(code, "Completed" if code == 0 else "Error", LATER)


def pod(policy: str = "Always", **spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"restartPolicy": policy, "containers": [{"name": "main"}], **spec}}


@pytest.mark.parametrize(
    ("policy", "containers", "phase"),
    [
        ("Always", [WAITING], "Pending"),
        ("Always", [RUNNING], "Running"),
        ("Always", [ended(0)], "Running"),
        ("Always", [ended(1), RUNNING], "Running"),
        ("OnFailure", [ended(1)], "Running"),
        ("OnFailure", [ended(0)], "Succeeded"),
        ("Never", [ended(0), ended(0)], "Succeeded"),
        ("Never", [ended(0), ended(3)], "Failed"),
        ("Always", [replace(WAITING, last={"terminated": {"exitCode": 1}})], "Running"),
    ],
)
def test_the_phase_follows_the_containers(policy: str, containers: list[ContainerState], phase: str) -> None:
    assert status.phase(pod(policy), PodState([], containers)) == phase


@pytest.mark.parametrize(
    ("policy", "init", "phase"),
    [
        ("Always", WAITING, "Pending"),
        ("Always", RUNNING, "Pending"),
        ("Always", ended(0), "Running"),
        ("Always", ended(1), "Pending"),
        ("Never", ended(1), "Failed"),
    ],
)
def test_init_containers_hold_the_phase(policy: str, init: ContainerState, phase: str) -> None:
    made = pod(policy, initContainers=[{"name": "main"}])
    assert status.phase(made, PodState([init], [RUNNING])) == phase


def test_a_sidecar_that_has_started_lets_the_others_run() -> None:
    made = pod(initContainers=[{"name": "main", "restartPolicy": "Always"}])
    assert status.phase(made, PodState([replace(RUNNING, started=False)], [RUNNING])) == "Pending"
    assert status.phase(made, PodState([RUNNING], [RUNNING])) == "Running"


def _conditions(rendered: Object) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each.get("reason", "")) for each in rendered["conditions"]}


def test_conditions_of_a_pod_that_is_not_ready_name_the_containers() -> None:
    rendered = status.render(pod(), PodState([], [replace(RUNNING, ready=False)], sandboxed=True), NOW)
    found = _conditions(rendered)
    assert found["Ready"] == found["ContainersReady"] == ("False", "ContainersNotReady")
    assert found["Initialized"] == ("True", "")
    ready = next(each for each in rendered["conditions"] if each["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [main]"


def test_a_closed_readiness_gate_keeps_the_pod_not_ready() -> None:
    made = pod(readinessGates=[{"conditionType": "example.org/ok"}])
    found = _conditions(status.render(made, PodState([], [RUNNING]), NOW))
    assert found["ContainersReady"] == ("True", "")
    assert found["Ready"] == ("False", "ReadinessGatesNotReady")


def test_times_of_conditions_move_with_their_status_alone_and_foreign_ones_stay() -> None:
    made = pod()
    state = PodState([], [RUNNING], ("10.42.0.5", "192.168.1.10"), NOW, sandboxed=True)
    made["status"] = status.render(made, state, NOW)
    made["status"]["conditions"].append({"type": "example.org/ok", "status": "True", "lastTransitionTime": NOW})
    again = status.render(made, state, LATER)
    assert {each["lastTransitionTime"] for each in again["conditions"]} == {NOW}
    assert "example.org/ok" in _conditions(again)
    assert not status.differs(made, again)
    unready = status.render(made, replace(state, containers=[replace(RUNNING, ready=False)]), LATER)
    moved = {each["type"] for each in unready["conditions"] if each["lastTransitionTime"] == LATER}
    assert moved == {"Ready", "ContainersReady"}
    assert status.differs(made, unready)


def test_a_container_is_taken_up_from_the_status_it_was_written_as() -> None:
    made = pod()
    before = replace(ended(3).again(), ready=False).waiting("CrashLoopBackOff", "back-off 10s")
    entry = status.render(made, PodState([], [before]), NOW)["containerStatuses"][0]
    restored = status.from_status({"name": "main", "image": "x"}, entry, "id")
    assert restored == before
    assert restored.again().restarts == before.restarts + 1


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: Object, quality: str) -> None:
    assert status.quality_of_service(pod(containers=[{"name": "main", "resources": resources}])) == quality
