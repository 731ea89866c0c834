"""Upgrading: three-way patches, hooks in their order, CRDs by policy, releases that others made or left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.helm import chart, flux, message, statuses

from nerv.builders import helm
from nerv.builders.helm import releases
from nerv.controllers.flux.api import HELM_RELEASES
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, JOBS, SECRETS

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {value: {{ .Values.value | quote }}, {{ .Values.key | default "first" }}: "1"}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: "app:{{ .Values.tag }}"
          env: [{{ if .Values.debug }}{name: DEBUG, value: "1"},{{ end }} {name: TAG, value: "{{ .Values.tag }}"}]
"""
HOOKS = """
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations:
    helm.sh/hook: post-install,post-upgrade
    helm.sh/hook-weight: "5"
    helm.sh/hook-delete-policy: {{ .Values.policy | default "before-hook-creation" }}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: app, image: "job:{{ .Values.job }}"}]}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: before
  annotations: {helm.sh/hook: pre-install}
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com, annotations: {edition: "%s"}}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
THING = """
apiVersion: example.com/v1
kind: Thing
metadata: {name: thing}
spec: {size: {{ .Values.size | default 1 }}}
"""


def outcome(pod: Object) -> str:
    """What becomes of a pod."""
    image = pod["spec"]["containers"][0]["image"]
    return {"job:good": "Succeeded", "job:bad": "Failed", "job:endless": "Running"}.get(image, "Running")


async def test_what_others_set_stays_and_what_the_chart_dropped_goes(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"web.yaml": DEPLOYMENT}, values={"tag": "1", "debug": True}))
        await world.release("web")
        await world.ready("web")
        foreign = {"spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "env": [
            {"name": "OTHER", "value": "x"}]}]}}}}  # fmt: skip
        await world.client.patch(DEPLOYMENTS, "web", "default", foreign, type="strategic", field_manager="someone")
        await world.change("web", {"values": {"tag": "2", "debug": False}})
        ready = await world.ready("web")
        assert message(ready, "Ready") == "Helm upgrade succeeded for release default/web.v2 with chart demo@1.0.0"
        spec = (await world.client.get(DEPLOYMENTS, "web", "default"))["spec"]
        assert spec["replicas"] == 3
        (container,) = spec["template"]["spec"]["containers"]
        assert container["image"] == "app:2"
        assert container["env"] == [{"name": "TAG", "value": "2"}, {"name": "OTHER", "value": "x"}]


async def test_another_chart_version_is_another_release_version(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"value": "one"}))
        added = CONFIG_MAP.replace("name: config", "name: second")
        world.shelf.put(chart(tmp_path, version="1.1.0", templates={"b.yaml": added}, values={"value": "two"}))
        await world.release("app")
        await world.ready("app")
        await world.change("app", {"chart": {"spec": {"version": "1.1.0"}}})
        ready = await world.ready("app")
        assert [each["chartVersion"] for each in ready["status"]["history"]] == ["1.1.0", "1.0.0"]
        assert (await world.client.get(CONFIG_MAPS, "second", "default"))["data"]["value"] == "two"
        names = {objects.name(each) for each in (await world.client.list(CONFIG_MAPS, "default")).items}
        assert "config" not in names


async def test_hooks_run_after_the_release_is_ready(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.phase = outcome
        world.shelf.put(chart(tmp_path, templates={"hooks.yaml": HOOKS, "a.yaml": CONFIG_MAP}, values={"job": "good"}))
        await world.release("app")
        await world.ready("app")
        assert (await world.client.get(JOBS, "migrate", "default"))["status"]["succeeded"] == 1
        before = await world.client.get(CONFIG_MAPS, "before", "default")
        assert not objects.labels(before)
        secret = await world.client.get(SECRETS, "sh.helm.release.v1.app.v1", "default")
        runs = {hook.name: hook.last_run.phase for hook in releases.from_secret(secret).hooks}
        assert runs == {"migrate": "Succeeded", "before": "Succeeded"}


async def test_a_hook_that_succeeded_is_deleted_if_it_says_so(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.phase = outcome
        values = {"job": "good", "policy": "hook-succeeded"}
        world.shelf.put(chart(tmp_path, templates={"hooks.yaml": HOOKS}, values=values))
        await world.release("app")
        await world.ready("app")
        await world.base.gone(JOBS, "migrate")


async def test_a_failed_hook_fails_the_release(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.phase = outcome
        world.shelf.put(chart(tmp_path, templates={"hooks.yaml": HOOKS}, values={"job": "bad"}))
        await world.release("app")
        failed = await world.until("app", lambda obj: statuses(obj).get("Stalled") == "True")
        assert message(failed, "Released") == (
            "Helm install failed for release default/app with chart demo@1.0.0: failed post-install: "
            "1 error occurred:\n\t* job migrate failed: BackoffLimitExceeded"
        )


async def test_a_hook_without_end_runs_into_the_time_out(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.phase = outcome
        world.shelf.put(chart(tmp_path, templates={"hooks.yaml": HOOKS}, values={"job": "endless"}))
        await world.release("app", timeout="1s")
        failed = await world.until("app", lambda obj: statuses(obj).get("Stalled") == "True")
        assert message(failed, "Released").endswith("1 error occurred:\n\t* timed out waiting for the condition")


async def test_waiting_ends_with_the_time_out_unless_it_is_switched_off(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.ready = lambda pod: False
        world.shelf.put(chart(tmp_path, templates={"web.yaml": DEPLOYMENT}, values={"tag": "1"}))
        await world.release("web", timeout="1s", install={"disableWait": True})
        await world.ready("web")
        await world.change("web", {"values": {"tag": "2"}})
        running = "Running 'upgrade' action with timeout of 1s"
        await world.until("web", lambda obj: message(obj, "Ready") == running, settled=False)
        failed = await world.until("web", lambda obj: statuses(obj).get("Stalled") == "True")
        assert message(failed, "Released") == (
            "Helm upgrade failed for release default/web with chart demo@1.0.0: context deadline exceeded"
        )


async def editions(world: Any) -> str:
    """The edition of the CRD in the cluster."""
    found = await world.client.get(CUSTOM_RESOURCE_DEFINITIONS, "things.example.com")
    return str(objects.annotations(found)["edition"])


async def test_crds_come_first_and_follow_their_policy(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        for version, edition in (("1.0.0", "one"), ("1.1.0", "two"), ("1.2.0", "three")):
            world.shelf.put(
                chart(tmp_path, version=version, templates={"t.yaml": THING}, crds={"things.yaml": CRD % edition})
            )
        await world.release("app")
        await world.ready("app")
        assert await editions(world) == "one"
        labels = objects.labels(await world.client.get(CUSTOM_RESOURCE_DEFINITIONS, "things.example.com"))
        assert labels["helm.toolkit.fluxcd.io/name"] == "app"
        await world.change("app", {"chart": {"spec": {"version": "1.1.0"}}})
        await world.ready("app")
        assert await editions(world) == "one"
        await world.change("app", {"chart": {"spec": {"version": "1.2.0"}}, "upgrade": {"crds": "CreateReplace"}})
        await world.ready("app")
        assert await editions(world) == "three"


async def test_without_their_crd_objects_cannot_be_installed(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"t.yaml": THING}, crds={"things.yaml": CRD % "one"}))
        await world.release("app", install={"crds": "Skip"})
        failed = await world.until("app", lambda obj: statuses(obj).get("Released") == "False", settled=False)
        assert 'no matches for kind "Thing" in version "example.com/v1"' in message(failed, "Released")
        assert "history" not in failed["status"]
        assert "installFailures" not in failed["status"]


async def test_a_release_left_pending_is_unlocked_and_upgraded(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"value": "one"}))
        await world.release("app", suspend=True)
        ours = chart(tmp_path, name="demo", version="1.0.0", templates={"a.yaml": CONFIG_MAP})
        info = releases.Info("2025-05-01T00:00:00Z", "2025-05-01T00:00:00Z", "", "Initial install underway",
                             releases.PENDING_INSTALL)  # fmt: skip
        stale = releases.Release("app", "default", 1, info, releases.stored_chart(helm.load(ours)), {}, "", ())
        await world.client.create(SECRETS, releases.to_secret(stale, world.base.clock.now(), "default"))
        await world.change("app", {"suspend": False})
        await world.ready("app")
        reasons = [reason for _, reason, _ in await world.events("app")]
        assert "PendingRelease" in reasons
        assert "UpgradeSucceeded" in reasons
        first = await world.client.get(SECRETS, "sh.helm.release.v1.app.v1", "default")
        assert releases.from_secret(first).info.description == "Release unlocked from stale 'pending-install' state"
        assert (await world.client.get(CONFIG_MAPS, "config", "default"))["data"]["value"] == "one"


async def test_a_release_that_was_touched_is_taken_back(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"value": "one"}))
        await world.release("app")
        await world.ready("app")
        secret = await world.client.get(SECRETS, "sh.helm.release.v1.app.v1", "default")
        touched = releases.from_secret(secret).now(releases.DEPLOYED, "by hand")
        await world.client.replace(SECRETS, releases.to_secret(touched, world.base.clock.now(), "default"))
        await world.annotate("app", {"reconcile.fluxcd.io/requestedAt": "1"})
        ready = await world.until("app", lambda obj: obj["status"].get("lastHandledReconcileAt") == "1")
        assert [each["version"] for each in ready["status"]["history"]] == [2]


async def test_history_is_kept_short(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}))
        await world.release("app", maxHistory=2, values={"value": "0"})
        await world.ready("app")
        for number in (1, 2, 3):
            await world.change("app", {"values": {"value": str(number)}})
            await world.ready("app")
        found = await world.client.list(SECRETS, "default", label_selector="owner=helm")
        assert sorted(objects.labels(each)["version"] for each in found.items) == ["3", "4"]


async def test_forced_without_a_change(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}))
        await world.release("app")
        await world.ready("app")
        token = {"reconcile.fluxcd.io/requestedAt": "7", "reconcile.fluxcd.io/forceAt": "7"}
        await world.annotate("app", token)
        ready = await world.until("app", lambda obj: obj["status"].get("lastHandledReconcileAt") == "7")
        assert ready["status"]["lastHandledForceAt"] == "7"
        assert ready["status"]["history"][0]["version"] == 2


async def test_another_target_namespace_moves_the_release(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}))
        await world.release("app")
        await world.ready("app")
        await world.change("app", {"targetNamespace": "elsewhere", "install": {"createNamespace": True}})
        ready = await world.ready("app")
        assert ready["status"]["history"][0]["namespace"] == "elsewhere"
        assert ready["status"]["history"][0]["name"] == "elsewhere-app"
        assert await world.client.get(CONFIG_MAPS, "config", "elsewhere")
        await world.base.gone(CONFIG_MAPS, "config")


async def test_deleted_with_everything(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.phase = outcome
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}))
        await world.release("app")
        await world.ready("app")
        await world.client.delete(HELM_RELEASES, "app", "default")
        await world.base.gone(HELM_RELEASES, "app")
        await world.base.gone(CONFIG_MAPS, "config")
        assert (await world.client.list(SECRETS, "default", label_selector="owner=helm")).items == []
        assert (
            "Normal",
            "UninstallSucceeded",
            "Helm uninstall succeeded for release default/app.v1 with chart demo@1.0.0",
        ) in (await world.events("app"))


async def test_a_pre_delete_hook_that_fails_holds_the_deletion(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.base.kubelet.phase = outcome
        hook = HOOKS.split("---")[0].replace("post-install,post-upgrade", "pre-delete")
        world.shelf.put(chart(tmp_path, templates={"hooks.yaml": hook, "a.yaml": CONFIG_MAP}, values={"job": "bad"}))
        await world.release("app")
        await world.ready("app")
        await world.client.delete(HELM_RELEASES, "app", "default")
        failed = await world.until("app", lambda obj: statuses(obj).get("Released") == "False", settled=False)
        assert message(failed, "Released").startswith(
            "Helm uninstall failed for release default/app.v1 with chart demo@1.0.0: 1 error occurred:"
        )
        assert await world.client.get(CONFIG_MAPS, "config", "default")
        assert objects.finalizers(failed) == ["finalizers.fluxcd.io"]


async def test_a_suspended_release_outlives_its_object(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}))
        await world.release("app")
        await world.ready("app")
        await world.change("app", {"suspend": True})
        await world.client.delete(HELM_RELEASES, "app", "default")
        await world.base.gone(HELM_RELEASES, "app")
        assert await world.client.get(CONFIG_MAPS, "config", "default")
        assert await world.client.get(SECRETS, "sh.helm.release.v1.app.v1", "default")


async def test_foreign_objects_are_adopted_or_refused(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"a.yaml": CONFIG_MAP}, values={"value": "ours"}))
        theirs = {"metadata": {"name": "config"}, "data": {"theirs": "1"}}
        await world.client.create(CONFIG_MAPS, theirs, namespace="default")
        await world.release("app", install={"disableTakeOwnership": True})
        failed = await world.until("app", lambda obj: statuses(obj).get("Released") == "False", settled=False)
        assert 'ConfigMap "config" in namespace "default" exists and cannot be imported' in message(failed, "Released")
        await world.change("app", {"install": {"disableTakeOwnership": False}})
        await world.ready("app")
        data = (await world.client.get(CONFIG_MAPS, "config", "default"))["data"]
        assert data == {"theirs": "1", "value": "ours", "first": "1"}
