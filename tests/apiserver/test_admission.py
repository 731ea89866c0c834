"""What admission adds and refuses: service accounts, priorities, Pod Security, addresses, default classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from tests.support.apiserver import running

from nerv.apiserver import configuration
from nerv.apiserver.identity import ADMIN
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LIMIT_RANGES,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    PRIORITY_CLASSES,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STORAGE_CLASSES,
    VALIDATING_POLICIES,
    VALIDATING_POLICY_BINDINGS,
)
from nerv.rendering.nixos import policies


def pod(name: str = "p", namespace: str = "default", **spec) -> dict:
    containers = spec.pop("containers", [{"name": "c", "image": "i"}])
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"containers": containers, **spec}}


async def test_pod_finds_its_token(client: Client) -> None:
    made = await client.create(PODS, pod())
    mount = made["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert mount["readOnly"] is True
    assert mount["name"].startswith("kube-api-access-")
    sources = made["spec"]["volumes"][0]["projected"]["sources"]
    assert [next(iter(source)) for source in sources] == ["serviceAccountToken", "configMap", "downwardAPI"]
    assert made["spec"]["serviceAccountName"] == "default"


async def test_pod_without_wish_for_a_token(client: Client) -> None:
    made = await client.create(PODS, pod(automountServiceAccountToken=False))
    assert "volumes" not in made["spec"]


async def test_account_must_exist(client: Client) -> None:
    with pytest.raises(errors.Forbidden, match="error looking up service account default/x"):
        await client.create(PODS, pod(serviceAccountName="x"))


async def test_pull_secrets_come_from_the_account(client: Client) -> None:
    await client.patch(SERVICE_ACCOUNTS, "default", "default", {"imagePullSecrets": [{"name": "registry"}]})
    made = await client.create(PODS, pod())
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}]


async def test_priority(client: Client) -> None:
    await client.create(PRIORITY_CLASSES, {"metadata": {"name": "high"}, "value": 7})
    made = await client.create(PODS, pod(priorityClassName="high"))
    assert made["spec"]["priority"] == 7
    with pytest.raises(errors.Forbidden, match="no PriorityClass with name low was found"):
        await client.create(PODS, pod("q", priorityClassName="low"))


async def restricted(client: Client, mode: str = "enforce") -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted"}
    await client.create(NAMESPACES, {"metadata": {"name": "tight", "labels": labels}})
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "tight"}})


async def test_restricted_namespace_refuses_a_plain_pod(client: Client) -> None:
    await restricted(client)
    with pytest.raises(errors.Forbidden) as refused:
        await client.create(PODS, pod(namespace="tight"))
    assert refused.value.message == (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
        '(container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities '
        '(container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container '
        '"c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )


async def test_restricted_namespace_takes_a_careful_pod(client: Client) -> None:
    await restricted(client)
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    containers = [{"name": "c", "image": "i", "securityContext": security}]
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert await client.create(PODS, pod(namespace="tight", containers=containers, securityContext=context))


async def test_warning_for_a_template(client: Client) -> None:
    await restricted(client, "warn")
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    obj = {
        "metadata": {"name": "d", "namespace": "tight"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    answer = await client.raw("POST", "/apis/apps/v1/namespaces/tight/deployments", body=orjson.dumps(obj))
    assert answer.status == 201
    assert 'would violate PodSecurity \\"restricted:latest\\"' in answer.headers["warning"]
    assert await client.get(DEPLOYMENTS, "d", "tight")


async def test_what_machines_are_configured_with_counts_where_a_namespace_says_nothing(tmp_path: Path) -> None:
    wanted = configuration.pod_security(policies.ADMISSION)
    async with running(tmp_path, pod_security=wanted) as server:
        client = server.direct(ADMIN)
        labels = {"pod-security.kubernetes.io/enforce": "privileged"}
        await client.create(NAMESPACES, {"metadata": {"name": "open", "labels": labels}})
        await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "open"}})
        with pytest.raises(errors.Forbidden, match=r'violates PodSecurity "baseline:latest": host namespaces'):
            await client.create(PODS, pod(hostNetwork=True))
        assert await client.create(PODS, pod("plain"))
        for namespace in ("open", "kube-system"):
            assert await client.create(PODS, pod(namespace=namespace, hostNetwork=True))


def service(name: str = "s", **spec) -> dict:
    spec = {"ports": [{"port": 80}], **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def test_service_gets_an_address_of_its_own(client: Client) -> None:
    addresses = {(await client.create(SERVICES, service(name)))["spec"]["clusterIP"] for name in ("a", "b", "c")}
    assert len(addresses) == 3
    assert all(address.startswith("10.43.") for address in addresses)


async def test_chosen_address_is_given_once(client: Client) -> None:
    await client.create(SERVICES, service("a", clusterIP="10.43.0.10"))
    with pytest.raises(errors.Invalid, match="provided IP is already allocated"):
        await client.create(SERVICES, service("b", clusterIP="10.43.0.10"))
    await client.delete(SERVICES, "a", "default")
    await client.create(SERVICES, service("b", clusterIP="10.43.0.10"))


async def test_failed_creation_gives_the_address_back(client: Client) -> None:
    await client.create(SERVICES, service("a"))
    with pytest.raises(errors.AlreadyExists):
        await client.create(SERVICES, service("a", clusterIP="10.43.0.11"))
    assert await client.create(SERVICES, service("b", clusterIP="10.43.0.11"))


async def test_dry_run_takes_no_address(client: Client) -> None:
    await client.create(SERVICES, service("a", clusterIP="10.43.0.12"), dry_run=True)
    assert await client.create(SERVICES, service("b", clusterIP="10.43.0.12"))


async def test_address_and_node_port_stay(client: Client) -> None:
    made = await client.create(SERVICES, service(type="LoadBalancer"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    changed = service(type="LoadBalancer", ports=[{"port": 80}, {"port": 443, "name": "tls"}])
    changed["spec"]["ports"][0]["name"] = "web"
    again = await client.replace(SERVICES, changed)
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert again["spec"]["ports"][0]["nodePort"] == port
    plain = await client.patch(SERVICES, "s", "default", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]


async def test_headless_service_has_no_address(client: Client) -> None:
    made = await client.create(SERVICES, service(clusterIP="None"))
    assert (made["spec"]["clusterIP"], made["spec"]["clusterIPs"]) == ("None", ["None"])


async def test_claim_without_class_gets_the_default(client: Client) -> None:
    marked = {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    await client.create(STORAGE_CLASSES, {"metadata": marked, "provisioner": "example.com/fast"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = await client.create(
        PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "c", "namespace": "default"}, "spec": spec}
    )
    assert made["spec"]["storageClassName"] == "fast"


async def test_limit_range_fills_in_and_bounds(client: Client) -> None:
    rule = {"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}
    await client.create(LIMIT_RANGES, {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [rule]}})
    made = await client.create(PODS, pod())
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "200m"}, "requests": {"cpu": "100m"}}
    greedy = [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "2"}}}]
    with pytest.raises(errors.Forbidden, match="maximum cpu usage per Container is 1, but limit is 2"):
        await client.create(PODS, pod("q", containers=greedy))


async def test_quota_counts_and_refuses(client: Client) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"pods": "1"}}}
    await client.create(RESOURCE_QUOTAS, quota)
    await client.create(PODS, pod())
    assert (await client.get(RESOURCE_QUOTAS, "q", "default"))["status"]["used"] == {"pods": "1"}
    with pytest.raises(errors.Forbidden) as refused:
        await client.create(PODS, pod("r"))
    assert refused.value.message == (
        'pods "r" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )


async def test_requests_side_by_side_do_not_pass_a_quota_together(client: Client) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"configmaps": "3"}}}
    await client.create(RESOURCE_QUOTAS, quota)
    maps = [{"metadata": {"name": f"m-{number}", "namespace": "default"}} for number in range(8)]
    answers = await asyncio.gather(*(client.create(CONFIG_MAPS, each) for each in maps), return_exceptions=True)
    assert sum(isinstance(answer, errors.Forbidden) for answer in answers) == 5
    assert (await client.get(RESOURCE_QUOTAS, "q", "default"))["status"]["used"] == {"configmaps": "3"}


async def test_quota_of_compute_demands_requests(client: Client) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"requests.cpu": "1"}}}
    await client.create(RESOURCE_QUOTAS, quota)
    with pytest.raises(errors.Forbidden, match=r"failed quota: q: must specify requests.cpu for: c"):
        await client.create(PODS, pod())
    asking = [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "600m"}}}]
    await client.create(PODS, pod(containers=asking))
    with pytest.raises(errors.Forbidden, match=r"requested: requests.cpu=600m, used: requests.cpu=600m"):
        await client.create(PODS, pod("r", containers=asking))


async def policy(client: Client, actions: list[str]) -> None:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "variables": [{"name": "replicas", "expression": "object.spec.replicas"}],
        "validations": [{"expression": "variables.replicas <= 5", "message": "at most five"}],
    }
    await client.create(VALIDATING_POLICIES, {"metadata": {"name": "few"}, "spec": spec})
    bound = {"policyName": "few", "validationActions": actions}
    await client.create(VALIDATING_POLICY_BINDINGS, {"metadata": {"name": "all"}, "spec": bound})


def deployment(replicas: int) -> dict:
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


async def test_policy_denies(client: Client) -> None:
    await policy(client, ["Deny"])
    with pytest.raises(errors.Invalid) as refused:
        await client.create(DEPLOYMENTS, deployment(6))
    assert refused.value.message == (
        "deployments.apps \"d\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'all' denied request: "
        "at most five"
    )
    assert await client.create(DEPLOYMENTS, deployment(5))


async def test_policy_warns(client: Client) -> None:
    await policy(client, ["Warn"])
    path = "/apis/apps/v1/namespaces/default/deployments"
    answer = await client.raw("POST", path, body=orjson.dumps(deployment(6)))
    assert answer.status == 201
    assert "at most five" in answer.headers["warning"]
