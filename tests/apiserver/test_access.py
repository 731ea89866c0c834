"""Who may do what: RBAC, service account tokens, impersonation, reviews, the audit log."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tests.support.apiserver import authority, running, serving

from nerv.apiserver.identity import ADMIN, AUTHENTICATED, User, service_account
from nerv.apiserver.server import ApiServer
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SERVICE_ACCOUNTS,
    TOKEN_REVIEWS,
)
from nerv.kube.tls import Access, TlsTransport

ALICE = User("alice", (AUTHENTICATED,))


def binding(role: str, *subjects: dict, namespace: str = "") -> dict:
    meta = {"name": f"{role}-binding", **({"namespace": namespace} if namespace else {})}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return {"metadata": meta, "roleRef": reference, "subjects": list(subjects)}


def person(name: str) -> dict:
    return {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}


async def test_stranger_may_nothing(apiserver: ApiServer) -> None:
    with pytest.raises(errors.Forbidden) as refused:
        await apiserver.direct(ALICE).list(PODS, "default")
    assert refused.value.message == (
        'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"'
    )


async def test_view_reads_all_but_secrets(apiserver: ApiServer, client: Client) -> None:
    await client.create(CLUSTER_ROLE_BINDINGS, binding("view", person("alice")))
    alice = apiserver.direct(ALICE)
    await alice.list(PODS)
    with pytest.raises(errors.Forbidden, match=r'cannot list resource "secrets".* at the cluster scope'):
        await alice.list(SECRETS)
    with pytest.raises(errors.Forbidden, match='cannot create resource "configmaps"'):
        await alice.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "default"}})


async def test_role_binding_holds_in_its_namespace_alone(apiserver: ApiServer, client: Client) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "team"}})
    await client.create(ROLE_BINDINGS, binding("edit", person("alice"), namespace="team"))
    alice = apiserver.direct(ALICE)
    await alice.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "team"}})
    with pytest.raises(errors.Forbidden):
        await alice.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "default"}})


async def test_role_gathers_what_is_labelled_for_it(apiserver: ApiServer, client: Client) -> None:
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rule = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
    version = (await client.get(CLUSTER_ROLES, "admin"))["metadata"]["resourceVersion"]
    events = client.watch(CLUSTER_ROLES, resource_version=version, field_selector="metadata.name=admin")
    await client.create(CLUSTER_ROLES, {"metadata": {"name": "widgets", "labels": label}, "rules": [rule]})
    async for event in events:
        if rule in event.object["rules"]:
            break
    await events.aclose()
    assert rule in (await client.get(CLUSTER_ROLES, "view"))["rules"]


async def test_service_account_token_over_tls(tmp_path: Path) -> None:
    async with running(tmp_path, serving=serving()) as server:
        admin = server.direct(ADMIN)
        account = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
        await admin.create(CLUSTER_ROLE_BINDINGS, binding("view", account))
        request = await admin.create(
            SERVICE_ACCOUNTS, {"spec": {}}, namespace="default", name="default", subresource="token"
        )
        token = request["status"]["token"]
        transport = TlsTransport(Access(server.url, authority().certificate, token=token))
        caller = Client(transport)
        assert (await caller.list(NAMESPACES)).items
        await admin.delete(SERVICE_ACCOUNTS, "default", "default")
        with pytest.raises(errors.Unauthorized):
            await caller.list(NAMESPACES)
        await caller.close()


async def test_token_ends_with_its_pod(client: Client) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    pod = await client.create(PODS, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": pod["metadata"]["uid"]}
    wanted = {"spec": {"boundObjectRef": bound, "audiences": ["me"]}}
    request = await client.create(SERVICE_ACCOUNTS, wanted, namespace="default", name="default", subresource="token")
    review = {"spec": {"token": request["status"]["token"], "audiences": ["me", "you"]}}
    found = (await client.create(TOKEN_REVIEWS, review))["status"]
    assert found["user"]["username"] == "system:serviceaccount:default:default"
    assert found["audiences"] == ["me"]
    await client.delete(PODS, "p", "default")
    assert "authenticated" not in (await client.create(TOKEN_REVIEWS, review))["status"]


async def test_access_review_answers_for_oneself(apiserver: ApiServer) -> None:
    attributes = {"verb": "get", "resource": "pods", "namespace": "default"}
    review = {"spec": {"resourceAttributes": attributes}}
    answer = await apiserver.direct(ALICE).create(SELF_SUBJECT_ACCESS_REVIEWS, review)
    assert answer["status"]["allowed"] is False
    answer = await apiserver.direct(ADMIN).create(SELF_SUBJECT_ACCESS_REVIEWS, review)
    assert answer["status"]["allowed"] is True


@pytest.mark.parametrize(("user", "status"), [(ADMIN, 403), (ALICE, 403)])
async def test_impersonation(apiserver: ApiServer, user: User, status: int) -> None:
    transport = apiserver.direct(user)._transport
    headers = {"impersonate-user": "system:serviceaccount:default:default"}
    answer = await transport.request("GET", "/api/v1/secrets", headers, b"")
    who = "system:serviceaccount:default:default" if user is ADMIN else "alice"
    assert (answer.status, who in orjson.loads(answer.body)["message"]) == (status, True)


async def test_audit_tells_who_and_what_but_no_content(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    async with running(tmp_path, audit=log) as server:
        await server.direct(ADMIN).create(
            SECRETS, {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"password": "hunter2"}}
        )
        with pytest.raises(errors.Forbidden):
            await server.direct(service_account("default", "x")).get(SECRETS, "s", "default")
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    written = [(item["user"]["username"], item["verb"], item["responseStatus"]["code"]) for item in lines[-2:]]
    assert written == [("system:admin", "create", 201), ("system:serviceaccount:default:x", "get", 403)]
    assert b"hunter2" not in log.read_bytes()
    assert log.stat().st_mode & 0o777 == 0o600


async def test_nobody_grants_what_they_do_not_have(apiserver: ApiServer, client: Client) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "team"}})
    await client.create(ROLE_BINDINGS, binding("admin", person("alice"), namespace="team"))
    alice = apiserver.direct(ALICE)
    await alice.create(ROLE_BINDINGS, binding("view", person("bob"), namespace="team"))
    with pytest.raises(errors.Forbidden, match="is attempting to grant RBAC permissions not currently held"):
        await alice.create(ROLE_BINDINGS, binding("cluster-admin", person("bob"), namespace="team"))
