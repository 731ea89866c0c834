"""Jobs through the real API: counting, retries, deadlines, indexes, suspension, expiry."""

from __future__ import annotations

from tests.support.controllers import World, template

from nerv.controllers.kubernetes.job.counting import FINALIZER
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import JOBS, PODS


def job(name: str, **spec: object) -> Object:
    pod = template({"job": name}, restartPolicy="Never")
    metadata = {"name": name}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": pod, **spec}}


def finished(type: str) -> object:
    return lambda obj: objects.is_true(obj, type)


async def test_completes_and_counts_each_pod_once(world: World) -> None:
    world.kubelet.phase = lambda pod: "Succeeded"
    await world.create(JOBS, job("sum", completions=5, parallelism=2))
    done = await world.wait(JOBS, "sum", finished("Complete"))
    status = done["status"]
    assert status["succeeded"] == 5
    assert status.get("active", 0) == 0
    assert status["uncountedTerminatedPods"] == {}
    assert status["completionTime"] == status["startTime"] == "2025-06-01T00:00:00Z"
    kinds = [(each["type"], each["reason"], each["message"]) for each in status["conditions"]]
    reached = ("CompletionsReached", "Reached expected number of succeeded pods")
    assert kinds == [("SuccessCriteriaMet", *reached), ("Complete", *reached)]
    assert len(world.list(PODS)) == 5
    assert not any(FINALIZER in objects.finalizers(pod) for pod in world.list(PODS))


async def test_never_runs_more_than_its_parallelism(world: World) -> None:
    world.kubelet.phase = lambda pod: "Running"
    await world.create(JOBS, job("sum", completions=5, parallelism=2))
    running = await world.wait(JOBS, "sum", lambda obj: obj.get("status", {}).get("ready") == 2)
    await world.settle()
    assert running["status"]["active"] == 2
    assert len(world.list(PODS)) == 2


async def test_fails_after_its_back_off_limit_with_growing_pauses(world: World) -> None:
    world.kubelet.phase = lambda pod: "Failed"
    await world.create(JOBS, job("sum", backoffLimit=2))
    await world.wait(JOBS, "sum", lambda obj: obj.get("status", {}).get("failed") == 1)
    await world.settle()
    assert len(world.list(PODS)) == 1
    world.clock.advance(11)
    await world.wait(JOBS, "sum", lambda obj: obj["status"].get("failed") == 2)
    world.clock.advance(11)
    await world.settle()
    assert len(world.list(PODS)) == 2
    world.clock.advance(11)
    done = await world.wait(JOBS, "sum", finished("Failed"))
    assert done["status"]["failed"] == 3
    kinds = [(each["type"], each["reason"], each["message"]) for each in done["status"]["conditions"]]
    exceeded = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert kinds == [("FailureTarget", *exceeded), ("Failed", *exceeded)]


async def test_is_ended_at_its_deadline(world: World) -> None:
    await world.create(JOBS, job("sum", activeDeadlineSeconds=100))
    await world.wait(JOBS, "sum", lambda obj: obj.get("status", {}).get("ready") == 1)
    await world.settle()
    world.clock.advance(99)
    await world.settle()
    assert not objects.is_true(world.get(JOBS, "sum"), "FailureTarget")
    world.clock.advance(2)
    done = await world.wait(JOBS, "sum", finished("Failed"))
    assert objects.condition(done, "Failed")["reason"] == "DeadlineExceeded"
    await world.count(PODS, 0)


async def test_indexed_pods_know_their_number(world: World) -> None:
    world.kubelet.phase = lambda pod: "Succeeded"
    await world.create(JOBS, job("parts", completions=4, parallelism=4, completionMode="Indexed"))
    done = await world.wait(JOBS, "parts", finished("Complete"))
    assert done["status"]["completedIndexes"] == "0-3"
    hostnames = sorted(pod["spec"]["hostname"] for pod in world.list(PODS))
    assert hostnames == ["parts-0", "parts-1", "parts-2", "parts-3"]
    for pod in world.list(PODS):
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == index
        assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"


async def test_suspending_ends_pods_and_resuming_starts_anew(world: World) -> None:
    await world.create(JOBS, job("sum", suspend=True))
    suspended = await world.wait(JOBS, "sum", finished("Suspended"))
    assert "startTime" not in suspended["status"]
    assert not world.list(PODS)
    await world.patch(JOBS, "sum", {"spec": {"suspend": False}})
    await world.wait(JOBS, "sum", lambda obj: obj["status"].get("ready") == 1)
    await world.patch(JOBS, "sum", {"spec": {"suspend": True}})
    await world.wait(JOBS, "sum", lambda obj: finished("Suspended")(obj) and not obj["status"].get("active"))
    await world.count(PODS, 0)
    await world.settle()
    assert world.get(JOBS, "sum")["status"].get("failed", 0) == 0


async def test_goes_when_its_time_to_live_is_over(world: World) -> None:
    world.kubelet.phase = lambda pod: "Succeeded"
    await world.create(JOBS, job("sum", ttlSecondsAfterFinished=60))
    await world.wait(JOBS, "sum", finished("Complete"))
    await world.settle()
    world.clock.advance(59)
    await world.settle()
    assert world.get(JOBS, "sum") is not None
    world.clock.advance(2)
    await world.gone(JOBS, "sum")
    await world.count(PODS, 0)
