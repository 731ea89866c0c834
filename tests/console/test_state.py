"""The pages' state follows the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.services import COMPONENTS

from nerv import documents
from nerv.console.state import VOLUMES, ConsoleState
from nerv.kube.client import Client
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS


async def _eventually(check: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110  the state is looked at, as pages do
            await asyncio.sleep(0.01)


async def test_volumes_and_events_appear_and_make_a_new_version(client: Client) -> None:
    for document in documents.load_all((COMPONENTS / "longhorn/standin/files/crds.yaml").read_text()):
        document["spec"].pop("conversion", None)
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, document)
    state = ConsoleState(client)
    try:
        before = state.version
        volume = {
            "apiVersion": "longhorn.io/v1beta2",
            "kind": "Volume",
            "metadata": {"name": "pvc-1", "namespace": "default"},
            "spec": {"size": "2147483648", "numberOfReplicas": 1},
        }
        created = await client.create(VOLUMES, volume)
        status = {
            "state": "attached",
            "robustness": "healthy",
            "kubernetesStatus": {"namespace": "default", "pvcName": "data"},
        }
        await client.replace(VOLUMES, {**created, "status": status}, subresource="status")
        await _eventually(lambda: state.volumes() and state.volumes()[0].state == "attached")
        found = state.volumes()[0]
        assert (found.name, found.robustness, found.size, found.claim) == ("pvc-1", "healthy", 2**31, "default/data")
        assert state.version > before
        about = {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "namespace": "default",
            "name": "web",
        }
        for name, involved in (("a", about), ("b", {**about, "apiVersion": "v1", "kind": "Pod"})):
            event = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": "default"},
                "involvedObject": involved,
                "reason": "InstallSucceeded",
                "type": "Normal",
                "message": "done",
            }
            await client.create(EVENTS, event)
        await _eventually(state.events)
        assert [event.subject for event in state.events()] == [("HelmRelease", "default", "web")]
    finally:
        await state.stop()
