"""How answers look: discovery in both forms, Tables, metadata alone, pages, other versions, OpenAPI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.apiserver import kubeconfig, running, serving

from nerv.apiserver.identity import ADMIN
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import CONFIG_MAPS, EVENTS, EVENTS_V1, SECRETS
from nerv.kube.tls import TlsTransport

_AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


async def fetch(client: Client, path: str, accept: str = "application/json", **query: str) -> Any:
    answer = await client.raw("GET", path, query=query, accept=accept)
    assert answer.status == 200, answer.body
    return orjson.loads(answer.body)


async def fill(client: Client, count: int) -> None:
    for number in range(count):
        meta = {"name": f"c{number}", "namespace": "default", "labels": {"odd": str(number % 2)}}
        await client.create(CONFIG_MAPS, {"metadata": meta, "data": {"n": str(number)}})


async def test_plain_discovery(client: Client) -> None:
    assert (await fetch(client, "/api/"))["versions"] == ["v1"]
    groups = (await fetch(client, "/apis"))["groups"]
    apps = next(group for group in groups if group["name"] == "apps")
    assert apps["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    names = [item["name"] for item in (await fetch(client, "/apis/apps/v1"))["resources"]]
    assert {"deployments", "deployments/scale", "deployments/status"} <= set(names)


@pytest.mark.parametrize(
    ("accept", "version"), [(_AGGREGATED, "v2"), (_AGGREGATED.replace("v2;", "v3;", 1), "v2beta1")]
)
async def test_aggregated_discovery(client: Client, accept: str, version: str) -> None:
    found = await fetch(client, "/apis", accept)
    assert found["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    apps = next(item for item in found["items"] if item["metadata"]["name"] == "apps")
    deployments = next(item for item in apps["versions"][0]["resources"] if item["resource"] == "deployments")
    scale = next(item for item in deployments["subresources"] if item["subresource"] == "scale")
    assert scale["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}


async def test_unknown_group(client: Client) -> None:
    answer = await client.raw("GET", "/apis/nowhere.example.com/v1/things")
    assert answer.status == 404
    assert orjson.loads(answer.body)["message"] == "the server could not find the requested resource"


async def test_table(client: Client) -> None:
    await fill(client, 1)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = await fetch(client, "/api/v1/namespaces/default/configmaps", accept)
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["c0", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_metadata_alone(client: Client) -> None:
    await fill(client, 1)
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    found = await fetch(client, "/api/v1/configmaps", accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["items"][0]["metadata"]["name"] == "c0"
    assert "data" not in found["items"][0]


async def test_unserved_media_type(client: Client) -> None:
    answer = await client.raw("GET", "/api/v1/configmaps", accept="application/xml")
    assert answer.status == 406


async def test_pages_hold_everything_once(client: Client) -> None:
    await fill(client, 5)
    names: list[str] = []
    following = ""
    while True:
        page = await fetch(
            client, "/api/v1/namespaces/default/configmaps", limit="2", **({"continue": following} if following else {})
        )
        names += [item["metadata"]["name"] for item in page["items"]]
        following = page["metadata"].get("continue", "")
        if not following:
            break
        assert page["metadata"]["remainingItemCount"] == 5 - len(names)
    assert names == [f"c{number}" for number in range(5)]


async def test_a_large_list_is_compressed_from_its_second_reader_on(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/configmaps"

    async with running(tmp_path, serving=serving()) as server:
        transport = TlsTransport.from_kubeconfig(kubeconfig(server, tmp_path))
        client = server.direct(ADMIN)
        for number in range(40):
            meta = {"name": f"c{number}", "namespace": "default"}
            await client.create(CONFIG_MAPS, {"metadata": meta, "data": {"n": "x" * 4096}})

        async def read(accepted: str) -> tuple[str, list[dict[str, Any]]]:
            answer = await transport.request("GET", path, {"accept-encoding": accepted}, b"")
            items = orjson.loads(answer.body)["items"]
            return answer.headers.get("content-encoding", ""), [item["data"] for item in items]

        encoding, first = await read("gzip")
        assert (encoding, len(first)) == ("", 40)
        assert await read("gzip") == ("gzip", first)
        assert await read("gzip") == ("gzip", first)
        assert await read("deflate, gzip") == ("gzip", first)
        assert await read("identity") == await read("gzip;q=0, x-gzip") == ("", first)
        await client.patch(CONFIG_MAPS, "c0", "default", {"data": {"n": "other"}})
        changed = [{"n": "other"}, *first[1:]]
        assert [await read("gzip"), await read("gzip")] == [("", changed), ("gzip", changed)]
        await transport.close()


async def test_continue_token_of_nobody(client: Client) -> None:
    answer = await client.raw("GET", "/api/v1/configmaps", query={"continue": "!"})
    assert answer.status == 400


@pytest.mark.parametrize("selector", ["spec.unknown=x", "metadata.nonsense=1"])
async def test_unknown_field_selector(client: Client, selector: str) -> None:
    with pytest.raises(errors.BadRequest, match="field"):
        await client.list(CONFIG_MAPS, field_selector=selector)


async def test_field_selector_of_a_type(client: Client) -> None:
    for name, kind in (("a", "Opaque"), ("b", "example.com/other")):
        await client.create(SECRETS, {"metadata": {"name": name, "namespace": "default"}, "type": kind})
    found = await client.list(SECRETS, field_selector="type=example.com/other")
    assert [item["metadata"]["name"] for item in found.items] == ["b"]


async def test_events_are_one_in_both_groups(client: Client) -> None:
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "message": "it runs",
        "type": "Normal",
        "count": 2,
    }
    await client.create(EVENTS, event)
    other = await client.get(EVENTS_V1, "e", "default")
    assert (other["note"], other["regarding"]["name"], other["deprecatedCount"]) == ("it runs", "p", 2)
    assert (await client.list(EVENTS, field_selector="involvedObject.name=p")).items[0]["message"] == "it runs"


async def test_openapi_index_and_documents(client: Client) -> None:
    index = (await fetch(client, "/openapi/v3"))["paths"]
    document = await fetch(client, "/openapi/v3/apis/apps/v1")
    assert index["apis/apps/v1"]["serverRelativeURL"].startswith("/openapi/v3/apis/apps/v1?hash=")
    assert "io.k8s.api.apps.v1.Deployment" in document["components"]["schemas"]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz?verbose"])
async def test_health(client: Client, path: str) -> None:
    assert (await client.raw("GET", path)).body == b"ok"


async def test_version(client: Client) -> None:
    assert (await fetch(client, "/version/"))["gitVersion"].startswith("v1.31.")
