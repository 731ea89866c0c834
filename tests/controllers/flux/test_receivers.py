"""Receivers: their path and conditions, and webhooks as real HTTP requests at the pod's port."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.support.flux import NAMESPACE, PATIENCE, World, world

from nerv.components.flux import permissions
from nerv.components.flux import resources as components
from nerv.controllers.flux.api import FINALIZER, GIT_REPOSITORIES, RECEIVERS, REQUESTED_AT
from nerv.controllers.flux.notification import receiver, validation
from nerv.controllers.flux.notification.validation import Hook, Refused
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import PODS, SECRETS, SERVICE_ACCOUNTS

TOKEN = "a-shared-secret"
POD_ADDRESS = ("10.42.0.7", 9292)


class Network:
    """What the cluster's network is told: which address leads to which socket."""

    def __init__(self, run_folder: Path) -> None:
        self.run_folder = run_folder
        self.routes: dict[tuple[str, int], Path] = {}

    async def register(self, address: str, port: int, unix: Path) -> None:
        self.routes[address, port] = unix

    async def unregister(self, address: str, port: int) -> None:
        self.routes.pop((address, port), None)

    async def answers(self, place: tuple[str, int], wanted: bool) -> None:
        """Wait until the address is answered, or is not any more."""
        deadline = time.monotonic() + PATIENCE
        while (place in self.routes) is not wanted:
            assert time.monotonic() < deadline, f"still waiting for {place} to be {'answered' if wanted else 'free'}"
            await asyncio.sleep(0.01)


@dataclass
class Place:
    """A world of Flux whose notification-controller runs in a pod."""

    flux: World
    network: Network

    async def post(self, path: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> int:
        connector = aiohttp.UnixConnector(str(self.network.routes[POD_ADDRESS]))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"http://webhook-receiver{path}", data=body, headers=headers) as answer,
        ):
            return answer.status


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    network = Network(tmp_path)
    async with world(tmp_path, exposure=network) as flux:
        yield Place(flux, network)


def secret(**values: str) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": "webhook", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


async def receives(flux: World, kind: str = "github", **spec: object) -> None:
    resources = [{"kind": "GitRepository", "name": "home"}]
    await flux.create(
        RECEIVERS, "hook", {"type": kind, "secretRef": {"name": "webhook"}, "resources": resources, **spec}
    )


async def run_pod(flux: World) -> None:
    """notification-controller's pod, ready, with the account and the permissions that its installation gives it."""
    account = {"name": "notification-controller", "namespace": NAMESPACE}
    await flux.client.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    for obj in permissions.objects({}):
        await flux.client.create(await flux.client.resource_for(obj["apiVersion"], obj["kind"]), obj)
    container = {"name": "manager", "image": "ghcr.io/fluxcd/notification-controller:v1.6.0"}
    await flux.client.create(
        PODS,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "notification-controller-1", "namespace": NAMESPACE},
            "spec": {"containers": [container], "serviceAccountName": "notification-controller"},
        },
    )
    ready = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "podIP": POD_ADDRESS[0], "conditions": ready}
    await flux.patch(PODS, "notification-controller-1", {"status": status}, subresource="status")


def signed(body: bytes, token: str = TOKEN, algorithm: str = "sha256") -> str:
    return f"{algorithm}={hmac.new(token.encode(), body, getattr(hashlib, algorithm)).hexdigest()}"


async def test_a_receiver_gets_a_path_that_only_the_token_gives(place: Place) -> None:
    flux = place.flux
    await flux.client.create(SECRETS, secret(token=TOKEN))
    await receives(flux)
    found = await flux.ready(RECEIVERS, "hook")
    path = "/hook/" + hashlib.sha256(f"{TOKEN}hook{NAMESPACE}".encode()).hexdigest()
    assert found["status"]["webhookPath"] == path
    assert found["status"]["observedGeneration"] == 1
    assert found["metadata"]["finalizers"] == [FINALIZER]
    ready = objects.condition(found, "Ready")
    assert (ready["reason"], ready["message"]) == ("Succeeded", f"Receiver initialized for path: {path}")
    await flux.event("Receiver", "hook", "Normal", "Succeeded", "Reconciliation finished, next run in 10m0s")
    await flux.client.delete(RECEIVERS, "hook", NAMESPACE)
    await flux.gone(RECEIVERS, "hook")


async def test_a_missing_token_is_named_and_its_coming_noticed(place: Place) -> None:
    flux = place.flux
    await receives(flux)
    message = await flux.failed(RECEIVERS, "hook", "TokenNotFound")
    assert message == (f"unable to read token from secret '{NAMESPACE}/webhook' error: secrets \"webhook\" not found")
    waiting = flux.get(RECEIVERS, "hook")
    assert objects.condition(waiting, "Reconciling")["reason"] == "ProgressingWithRetry"
    assert "webhookPath" not in waiting["status"]
    await flux.client.create(SECRETS, secret(other="x"))
    await flux.wait(RECEIVERS, "hook", lambda o: "required fields 'token'" in objects.condition(o, "Ready")["message"])
    await flux.patch(SECRETS, "webhook", {"data": secret(token=TOKEN)["data"]})
    await flux.ready(RECEIVERS, "hook")


async def test_a_type_that_cannot_be_verified_says_so(place: Place) -> None:
    await place.flux.client.create(SECRETS, secret(token=TOKEN))
    await receives(place.flux, "gcr")
    await place.flux.failed(RECEIVERS, "hook", "UnsupportedReceiverType")
    assert objects.is_true(place.flux.get(RECEIVERS, "hook"), "Stalled")


async def open_door(place: Place, kind: str = "github", **spec: object) -> str:
    """A Receiver that is ready and answered. Returns its path."""
    await place.flux.client.create(SECRETS, secret(token=TOKEN))
    await receives(place.flux, kind, **spec)
    await run_pod(place.flux)
    found = await place.flux.ready(RECEIVERS, "hook")
    await place.network.answers(POD_ADDRESS, True)
    return str(found["status"]["webhookPath"])


async def requested(place: Place) -> str:
    found = await place.flux.read(GIT_REPOSITORIES, "home", NAMESPACE)
    assert found is not None
    return str(objects.annotations(found).get(REQUESTED_AT, ""))


async def test_a_signed_push_makes_flux_fetch(place: Place) -> None:
    flux = place.flux
    await flux.source()
    await flux.ready(GIT_REPOSITORIES, "home")
    path = await open_door(place, events=["ping", "push"])
    before = await requested(place)
    body = b'{"ref": "refs/heads/main"}'
    assert await place.post(path, body, {"X-Hub-Signature-256": signed(body), "X-GitHub-Event": "push"}) == 200
    token = await requested(place)
    assert token != before
    await flux.wait(GIT_REPOSITORIES, "home", lambda o: o["status"].get("lastHandledReconcileAt") == token)


async def test_what_is_not_signed_or_not_wanted_is_refused(place: Place) -> None:
    await place.flux.source()
    path = await open_door(place, events=["push"])
    await place.flux.ready(GIT_REPOSITORIES, "home")
    before = await requested(place)
    good = {"X-Hub-Signature-256": signed(b"{}"), "X-GitHub-Event": "push"}
    assert await place.post(path, b'{"a": 1}', good) == 400
    assert await place.post(path, b"{}", {"X-GitHub-Event": "push"}) == 400
    assert await place.post(path, b"{}", good | {"X-Hub-Signature-256": signed(b"{}", "wrong")}) == 400
    assert await place.post(path, b"{}", good | {"X-GitHub-Event": "issues"}) == 400
    assert await place.post("/hook/" + "0" * 64, b"{}", good) == 404
    assert await place.post("/", b"{}", good) == 404
    await place.flux.patch(RECEIVERS, "hook", {"spec": {"suspend": True}})
    await place.flux.settle()
    assert await place.post(path, b"{}", good) == 503
    assert await requested(place) == before


async def test_a_filter_and_labels_choose_what_is_asked(place: Place) -> None:
    flux = place.flux
    await flux.source()
    await flux.patch(GIT_REPOSITORIES, "home", {"metadata": {"labels": {"team": "a"}}})
    reference = {"kind": "GitRepository", "name": "*", "matchLabels": {"team": "a"}}
    path = await open_door(place, "generic", resources=[reference], resourceFilter="res.metadata.name == req.name")
    before = await requested(place)
    assert await place.post(path, b'{"name": "another"}') == 200
    assert await requested(place) == before
    assert await place.post(path, b'{"name": "home"}') == 200
    assert await requested(place) != before


async def test_nothing_is_answered_without_a_ready_pod(place: Place) -> None:
    await open_door(place, "generic")
    await place.flux.client.delete(PODS, "notification-controller-1", NAMESPACE, grace_period=0)
    await place.network.answers(POD_ADDRESS, False)


async def test_a_reference_to_nothing_is_an_error(place: Place) -> None:
    path = await open_door(place, "generic", resources=[{"kind": "GitRepository", "name": "nothing"}])
    assert await place.post(path) == 500


HMAC = signed(b"{}", algorithm="sha512")


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("generic", {}),
        ("generic-hmac", {"x-signature": HMAC}),
        ("github", {"x-hub-signature": signed(b"{}", algorithm="sha1")}),
        ("gitlab", {"x-gitlab-token": TOKEN}),
        ("bitbucket", {"x-hub-signature": signed(b"{}")}),
        ("harbor", {"authorization": TOKEN}),
        ("dockerhub", {}),
        ("quay", {}),
        ("nexus", {"x-nexus-webhook-signature": signed(b"{}", algorithm="sha1").partition("=")[2]}),
        ("acr", {}),
    ],
)
def test_every_sender_is_known_by_its_own_sign(kind: str, headers: dict[str, str]) -> None:
    validation.validate(kind, [], Hook(headers, b"{}"), TOKEN)
    if headers:
        for wrong in ({}, dict.fromkeys(headers, "sha256=00"), dict.fromkeys(headers, "")):
            with pytest.raises(Refused):
                validation.validate(kind, [], Hook(wrong, b"{}"), TOKEN)


def test_a_form_carries_the_payload_too() -> None:
    form = Hook({"content-type": "application/x-www-form-urlencoded"}, b"payload=%7B%22a%22%3A1%7D")
    assert validation.payload(form) == {"a": 1}


def test_every_type_of_the_api_is_known() -> None:
    known = {*validation.SENDERS, *receiver.UNSUPPORTED}
    definition = next(each for each in components.definitions() if each["spec"]["names"]["kind"] == "Receiver")
    version = next(each for each in definition["spec"]["versions"] if each["storage"])
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert known == set(spec["properties"]["type"]["enum"])
