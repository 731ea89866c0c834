"""Field validation, patches, server-side apply, scale, binding, eviction, Jobs: writes beyond plain CRUD."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import CONFIG_MAPS, DEPLOYMENTS, JOBS, POD_DISRUPTION_BUDGETS, PODS, SECRETS

LABELS = {"app": "x"}


def deployment(image: str = "i", **spec) -> dict:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"selector": {"matchLabels": LABELS}, "template": template, **spec},
    }


def pod(name: str = "p", **spec) -> dict:
    spec = {"containers": [{"name": "c", "image": "i"}], **spec}
    return {"metadata": {"name": name, "namespace": "default", "labels": LABELS}, "spec": spec}


async def post(client: Client, body: bytes, **query: str):
    return await client.raw("POST", "/apis/apps/v1/namespaces/default/deployments", query=query, body=body)


async def test_strict_validation_names_unknown_and_repeated_fields(client: Client) -> None:
    body = orjson.dumps(deployment(replica=1, replicas=2)).replace(b'"replicas":2', b'"replicas":2,"replicas":3')
    answer = await post(client, body, fieldValidation="Strict")
    message = orjson.loads(answer.body)["message"]
    assert answer.status == 400
    assert "strict decoding error" in message
    assert 'duplicate field "spec.replicas"' in message
    assert 'unknown field "spec.replica"' in message


async def test_unknown_field_is_warned_about_and_dropped(client: Client) -> None:
    answer = await post(client, orjson.dumps(deployment(replica=1)))
    assert 'unknown field \\"spec.replica\\"' in answer.headers["warning"]
    assert "replica" not in orjson.loads(answer.body)["spec"]


async def test_wrong_type(client: Client) -> None:
    answer = await post(client, orjson.dumps(deployment(replicas="many")))
    assert answer.status == 400
    assert "cannot be handled as a Deployment" in orjson.loads(answer.body)["message"]


async def test_immutable_field(client: Client) -> None:
    await client.create(DEPLOYMENTS, deployment())
    with pytest.raises(errors.Invalid, match="field is immutable"):
        await client.patch(DEPLOYMENTS, "d", "default", {"spec": {"selector": {"matchLabels": {"app": "y"}}}})


async def test_defaults_are_filled_in(client: Client) -> None:
    made = await client.create(DEPLOYMENTS, deployment())
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    assert made["metadata"]["generation"] == 1


async def test_strategic_merge_adds_to_a_keyed_list(client: Client) -> None:
    await client.create(DEPLOYMENTS, deployment())
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s"}]}}}}
    changed = await client.patch(DEPLOYMENTS, "d", "default", patch, type="strategic")
    names = {item["name"] for item in changed["spec"]["template"]["spec"]["containers"]}
    assert (names, changed["metadata"]["generation"]) == ({"c", "side"}, 2)


async def test_json_patch_test_guards(client: Client) -> None:
    await client.create(DEPLOYMENTS, deployment())
    wrong = [{"op": "test", "path": "/spec/replicas", "value": 9}]
    with pytest.raises(errors.Invalid, match="the server rejected our request due to an error in our request"):
        await client.patch(DEPLOYMENTS, "d", "default", wrong, type="json")


async def test_apply_creates_changes_and_rests(client: Client) -> None:
    made = await client.apply(DEPLOYMENTS, deployment(), field_manager="a")
    same = await client.apply(DEPLOYMENTS, deployment(), field_manager="a")
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    changed = await client.apply(DEPLOYMENTS, deployment("j"), field_manager="a")
    assert changed["spec"]["template"]["spec"]["containers"][0]["image"] == "j"
    assert [item["manager"] for item in changed["metadata"]["managedFields"]] == ["a"]


async def test_apply_conflict_names_manager_and_field(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment(), field_manager="a")
    with pytest.raises(errors.Conflict) as refused:
        await client.apply(DEPLOYMENTS, deployment("j"), field_manager="b", force=False)
    assert refused.value.causes == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "a"',
            "field": '.spec.template.spec.containers[name="c"].image',
        }
    ]


async def test_apply_dry_run_shows_the_result(client: Client) -> None:
    shown = await client.apply(DEPLOYMENTS, deployment(), field_manager="a", dry_run=True)
    assert shown["spec"]["replicas"] == 1
    with pytest.raises(errors.NotFound):
        await client.get(DEPLOYMENTS, "d", "default")


async def test_apply_needs_a_manager(client: Client) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments/d"
    body = orjson.dumps(deployment())
    answer = await client.raw("PATCH", path, body=body, content_type="application/apply-patch+yaml")
    assert answer.status == 422
    assert "is required for apply patch" in orjson.loads(answer.body)["message"]


async def test_dropped_field_of_an_applier_goes_away(client: Client) -> None:
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    await client.apply(CONFIG_MAPS, {**base, "data": {"x": "1", "y": "2"}}, field_manager="a")
    changed = await client.apply(CONFIG_MAPS, {**base, "data": {"x": "1"}}, field_manager="a")
    assert changed["data"] == {"x": "1"}


async def test_status_path_writes_status_alone(client: Client) -> None:
    made = await client.create(DEPLOYMENTS, deployment())
    made["status"] = {"replicas": 1}
    made["spec"]["replicas"] = 7
    changed = await client.replace(DEPLOYMENTS, made, subresource="status")
    assert (changed["status"]["replicas"], changed["spec"]["replicas"]) == (1, 1)
    changed["status"] = {}
    changed["spec"]["replicas"] = 2
    changed = await client.replace(DEPLOYMENTS, changed)
    assert (changed["status"]["replicas"], changed["spec"]["replicas"]) == (1, 2)


async def test_scale(client: Client) -> None:
    await client.create(DEPLOYMENTS, deployment())
    scale = await client.get(DEPLOYMENTS, "d", "default", subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 1, "app=x")
    scaled = await client.patch(DEPLOYMENTS, "d", "default", {"spec": {"replicas": 4}}, subresource="scale")
    assert scaled["spec"]["replicas"] == 4
    assert (await client.get(DEPLOYMENTS, "d", "default"))["spec"]["replicas"] == 4


async def test_binding_is_final(client: Client) -> None:
    await client.create(PODS, pod())
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"},
    }
    await client.create(PODS, binding, namespace="default", name="p", subresource="binding")
    bound = await client.get(PODS, "p", "default")
    assert bound["spec"]["nodeName"] == "n"
    assert [(item["type"], item["status"]) for item in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    with pytest.raises(errors.Conflict, match='is already assigned to node "n"'):
        await client.create(PODS, binding, namespace="default", name="p", subresource="binding")


async def test_eviction_keeps_the_disruption_budget(client: Client) -> None:
    spec = {"selector": {"matchLabels": LABELS}, "minAvailable": 1}
    budget = {"metadata": {"name": "b", "namespace": "default"}, "spec": spec}
    await client.create(POD_DISRUPTION_BUDGETS, budget)
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    await client.patch(POD_DISRUPTION_BUDGETS, "b", "default", {"status": status}, subresource="status")
    for name in ("p", "q"):
        await client.create(PODS, pod(name, nodeName="n", terminationGracePeriodSeconds=0))
        await client.patch(PODS, name, "default", {"status": {"phase": "Running"}}, subresource="status")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": "default"}}
    await client.create(PODS, eviction, name="p", subresource="eviction")
    with pytest.raises(errors.NotFound):
        await client.get(PODS, "p", "default")
    other = {**eviction, "metadata": {"name": "q", "namespace": "default"}}
    with pytest.raises(errors.TooManyRequests, match="would violate the pod's disruption budget"):
        await client.create(PODS, other, name="q", subresource="eviction")


async def test_job_selects_its_own_pods(client: Client) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    made = await client.create(
        JOBS, {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template}}
    )
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid}


async def test_string_data_becomes_data(client: Client) -> None:
    obj = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"password": "hunter2"}}
    made = await client.create(SECRETS, obj)
    assert made["data"] == {"password": "aHVudGVyMg=="}
    assert "stringData" not in made


async def test_changes_of_unlike_fields_do_not_lose_each_other(client: Client) -> None:
    await client.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "default"}})
    await asyncio.gather(
        *(client.patch(CONFIG_MAPS, "a", "default", {"data": {f"k{number}": "v"}}) for number in range(6))
    )
    assert len((await client.get(CONFIG_MAPS, "a", "default"))["data"]) == 6
