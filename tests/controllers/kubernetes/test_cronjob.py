"""CronJobs through the real API, on a virtual clock that starts at midnight."""

from __future__ import annotations

from tests.support.controllers import World, template

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CRON_JOBS, EVENTS, JOBS


def cron_job(**spec: object) -> Object:
    pod = template({"cron": "tick"}, restartPolicy="Never")
    status = {"lastScheduleTime": "2025-06-01T00:00:00Z"}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick"},
        "spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": pod}}, **spec},
        "status": status,
    }


async def create(world: World, **spec: object) -> None:
    """The server's clock is the real one: say where the schedule stands in virtual time."""
    wanted = cron_job(suspend=True, **spec)
    created = await world.create(CRON_JOBS, wanted)
    await world.client.replace(CRON_JOBS, {**created, "status": wanted["status"]}, subresource="status")
    await world.patch(CRON_JOBS, "tick", {"spec": {"suspend": False}})
    await world.wait(CRON_JOBS, "tick", lambda obj: obj["spec"].get("suspend") is False)
    await world.settle()


async def test_makes_a_job_each_hour_and_keeps_the_last_ones(world: World) -> None:
    world.kubelet.phase = lambda pod: "Succeeded"
    await create(world, successfulJobsHistoryLimit=2)
    for hour in range(1, 5):
        world.clock.advance(3600)
        wanted = f"2025-06-01T0{hour}:00:00Z"
        await world.wait(CRON_JOBS, "tick", lambda obj, at=wanted: obj["status"].get("lastScheduleTime") == at)
        await world.wait(CRON_JOBS, "tick", lambda obj: "active" not in obj["status"])
        await world.settle()
    await world.count(JOBS, 2)
    newest = world.list(JOBS)[-1]
    assert objects.annotations(newest)["batch.kubernetes.io/cronjob-scheduled-timestamp"] == "2025-06-01T04:00:00Z"
    assert objects.controller_of(newest)["name"] == "tick"


async def test_forbid_waits_for_the_running_job(world: World) -> None:
    await create(world, concurrencyPolicy="Forbid")
    world.clock.advance(3600)
    await world.count(JOBS, 1)
    await world.settle()
    world.clock.advance(3600)
    await world.count(EVENTS, 1, lambda event: event["reason"] == "JobAlreadyActive")
    assert len(world.list(JOBS)) == 1


async def test_a_job_made_by_hand_from_it_is_not_one_of_its_own(world: World) -> None:
    """`kubectl create job x --from=cronjob/tick`: unexpected, it neither counts as active nor holds others up."""
    await create(world, concurrencyPolicy="Forbid")
    owner = await world.client.get(CRON_JOBS, "tick", "default")
    manual = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "by-hand",
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [objects.owner_reference(owner)],
        },
        "spec": owner["spec"]["jobTemplate"]["spec"],
    }
    await world.create(JOBS, manual)
    await world.count(EVENTS, 1, lambda event: event["reason"] == "UnexpectedJob")
    world.clock.advance(3600)
    await world.count(JOBS, 2)
    found = await world.wait(CRON_JOBS, "tick", lambda obj: bool(obj["status"].get("active")))
    assert len(found["status"]["active"]) == 1
    assert found["status"]["active"][0]["name"].startswith("tick-")


async def test_replace_ends_the_running_job(world: World) -> None:
    await create(world, concurrencyPolicy="Replace")
    world.clock.advance(3600)
    await world.count(JOBS, 1)
    first = objects.name(world.list(JOBS)[0])
    await world.settle()
    world.clock.advance(3600)
    await world.until(JOBS, lambda: [objects.name(each) for each in world.list(JOBS)] not in ([first], []) or None)
    await world.gone(JOBS, first)
    assert len(world.list(JOBS)) == 1
