"""What must be there before a release is made: source, values, dependencies, a service account; and schema errors."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path

from tests.support.apiserver import kubeconfig, running, serving
from tests.support.helm import chart, flux, message, statuses

from nerv.apiserver.identity import ADMIN
from nerv.builders import helm
from nerv.builders.helm import releases, sdk, values
from nerv.controllers.flux.api import HELM_CHARTS, HELM_RELEASES
from nerv.kube import objects
from nerv.kube.resources import CONFIG_MAPS, SECRETS

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {{ .Values.data | toYaml | nindent 2 }}
"""
SCHEMA = '{"type": "object", "additionalProperties": false, "properties": {"data": {"type": "object"}}}'


async def test_the_chart_object_follows_the_template(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await world.release("app")
        waiting = await world.until("app", lambda obj: message(obj, "Ready") != "", settled=False)
        assert message(waiting, "Ready") == (
            "HelmChart 'default/default-app' is not ready: latest generation of object has not been reconciled"
        )
        found = await world.client.get(HELM_CHARTS, "default-app", "default")
        assert found["spec"]["sourceRef"] == {"kind": "HelmRepository", "name": "shelf"}
        assert found["spec"]["interval"] == "10m"
        assert objects.labels(found)["helm.toolkit.fluxcd.io/name"] == "app"
        await world.client.delete(HELM_RELEASES, "app", "default")
        await world.base.gone(HELM_CHARTS, "default-app")


async def test_values_come_in_order_and_paths_win(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"data": {"chart": "1", "a": "0"}}))
        first = {"metadata": {"name": "first"}, "data": {"values.yaml": "data: {a: first, b: first, c: first}"}}
        await world.client.create(CONFIG_MAPS, first, namespace="default")
        data = {"values.yaml": base64.b64encode(b"data: {b: second}").decode(),
                "token": base64.b64encode(b"'0123'").decode()}  # fmt: skip
        await world.client.create(SECRETS, {"metadata": {"name": "second"}, "data": data}, namespace="default")
        references = [
            {"kind": "ConfigMap", "name": "first"},
            {"kind": "Secret", "name": "second"},
            {"kind": "Secret", "name": "second", "valuesKey": "token", "targetPath": "data.token"},
            {"kind": "Secret", "name": "missing", "optional": True},
        ]
        await world.release("app", valuesFrom=references, values={"data": {"c": "inline"}})
        ready = await world.ready("app")
        merged = {"data": {"a": "first", "b": "second", "c": "inline", "token": "0123"}}
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"] == {"chart": "1", **merged["data"]}
        assert ready["status"]["lastAttemptedConfigDigest"] == values.digest(merged)


async def test_missing_values_are_named(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path))
        await world.release("app", valuesFrom=[{"kind": "Secret", "name": "nothing"}])
        failed = await world.until("app", lambda obj: "could not" in message(obj, "Ready"), settled=False)
        assert message(failed, "Ready") == (
            "could not resolve Secret chart values reference 'default/nothing' with key 'values.yaml': "
            'secrets "nothing" not found'
        )


async def test_values_that_break_the_schema_are_shown(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, schema=SCHEMA))
        await world.release("app", values={"tpyo": 1})
        failed = await world.until("app", lambda obj: statuses(obj).get("Released") == "False", settled=False)
        text = message(failed, "Released")
        assert text.startswith(
            "Helm install failed for release default/app with chart demo@1.0.0: values don't meet the "
        )
        assert "specifications of the schema(s) in the following chart(s):\ndemo:\n" in text
        assert "'tpyo' not allowed" in text


async def test_refused_values_that_are_taken_back_heal_the_release(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, schema=SCHEMA))
        await world.release("app", values={})
        await world.ready("app")
        await world.change("app", {"values": {"tpyo": 1}})
        await world.until("app", lambda obj: statuses(obj).get("Released") == "False", settled=False)
        await world.change("app", {"values": {"tpyo": None}})
        healed = await world.ready("app")
        assert message(healed, "Ready").startswith("Helm upgrade succeeded for release default/app.v1 with chart demo")


async def test_dependents_go_on_when_what_they_wait_for_is_ready(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        template = CONFIG_MAP.replace("config", "{{ .Release.Name }}")
        world.shelf.put(chart(tmp_path, templates={"a.yaml": template}, values={"data": {"x": "1"}}))
        await world.release("front", dependsOn=[{"name": "back"}])
        waiting = await world.until("front", lambda obj: statuses(obj).get("Ready") == "False", settled=False)
        assert "unable to get 'default/back' dependency" in message(waiting, "Ready")
        before = world.base.clock.monotonic()
        await world.release("back")
        await world.ready("front")
        # the change itself woke it: half a minute is how long it would have slept
        assert world.base.clock.monotonic() - before < 30


async def test_post_renderers_and_their_change(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"data": {"x": "1"}}))

        def renderers(value: str) -> list[dict[str, object]]:
            patch = f"- op: add\n  path: /data/patched\n  value: {value}\n"
            return [{"kustomize": {"patches": [{"patch": patch, "target": {"kind": "ConfigMap"}}]}}]

        await world.release("app", postRenderers=renderers("one"))
        ready = await world.ready("app")
        digest = ready["status"]["observedPostRenderersDigest"]
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"] == {"x": "1", "patched": "one"}
        await world.change("app", {"postRenderers": renderers("two")})
        ready = await world.ready("app")
        assert ready["status"]["observedPostRenderersDigest"] != digest
        assert ready["status"]["history"][0]["version"] == 2
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"]["patched"] == "two"


async def test_drift_is_found_and_corrected(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"data": {"x": "1", "other": "1"}}))
        ignore = [{"paths": ["/data/other"], "target": {"kind": "ConfigMap"}}]
        await world.release("app", driftDetection={"mode": "enabled", "ignore": ignore})
        await world.ready("app")
        drifted = {"data": {"x": "2", "other": "2"}}
        await world.client.patch(CONFIG_MAPS, "config", "default", drifted, field_manager="someone")
        await world.annotate("app", {"reconcile.fluxcd.io/requestedAt": "1"})
        ready = await world.until("app", lambda obj: obj["status"].get("lastHandledReconcileAt") == "1")
        assert statuses(ready)["Ready"] == "True"
        assert ready["status"]["history"][0]["version"] == 1
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"] == {"x": "1", "other": "2"}
        await world.client.delete(CONFIG_MAPS, "config", "default")
        await world.annotate("app", {"reconcile.fluxcd.io/requestedAt": "2"})
        await world.until("app", lambda obj: obj["status"].get("lastHandledReconcileAt") == "2")
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"] == {"x": "1", "other": "1"}
        events = await world.events("app")
        release = "Cluster state of release default/app.v1 has"
        where = "ConfigMap/default/config"
        changed = f"{where} changed (0 additions, 1 changes, 0 removals)"
        assert ("Warning", "DriftDetected", f"{release} drifted from the desired state:\n{changed}") in events
        assert ("Normal", "DriftCorrected", f"{release} been corrected:\n{where} configured") in events
        assert ("Warning", "DriftDetected", f"{release} drifted from the desired state:\n{where} removed") in events
        assert ("Normal", "DriftCorrected", f"{release} been corrected:\n{where} created") in events


async def test_drift_can_be_only_told(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"data": {"x": "1"}}))
        await world.release("app", driftDetection={"mode": "warn"})
        await world.ready("app")
        await world.client.patch(CONFIG_MAPS, "config", "default", {"data": {"x": "2"}}, field_manager="someone")
        await world.annotate("app", {"reconcile.fluxcd.io/requestedAt": "1"})
        await world.until("app", lambda obj: obj["status"].get("lastHandledReconcileAt") == "1")
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"] == {"x": "2"}
        assert "DriftDetected" in [reason for _, reason, _ in await world.events("app")]


async def test_helm_itself_reads_what_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path, serving=serving()) as server:
        client = server.direct(ADMIN)
        loaded = helm.load(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, metadata={"appVersion": "3"}))
        moment = "2025-06-01T00:00:00Z"
        for version, status in ((1, releases.SUPERSEDED), (2, releases.DEPLOYED)):
            info = releases.Info(moment, moment, "", "Upgrade complete", status, "notes")
            hook = releases.Hook("h", "Job", "demo/templates/h.yaml", "kind: Job", ("test",), 1, ("hook-failed",))
            stored = releases.Release(
                "app", "default", version, info, releases.stored_chart(loaded), {"a": 1}, "---\nkind: X\n", (hook,)
            )
            await client.create(SECRETS, releases.to_secret(stored, datetime.now(UTC), "default"))
        content = kubeconfig(server, tmp_path).read_text()
        history = await asyncio.to_thread(sdk.history, content, "default", "app")
        assert [(each["revision"], each["status"], each["app_version"]) for each in history] == [
            (1, "superseded", "3"),
            (2, "deployed", "3"),
        ]
        (listed,) = await asyncio.to_thread(sdk.releases, content, "default")
        assert (listed["name"], listed["revision"], listed["chart_version"]) == ("app", 2, "1.0.0")
