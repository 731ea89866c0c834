"""The failure and remediation scenarios of helm-controller's own end-to-end tests, with the status they assert.

A Job that fails stands for everything that can go wrong with a release; failing test pods for failing tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.helm import FluxWorld, chart, flux, message, statuses

from nerv.builders.helm import Release, releases
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, SECRETS

TEMPLATES = {
    "cm.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data: {value: {{ .Values.value | quote }}}
""",
    "job.yaml": """
{{- if .Values.broken }}
apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-broken-{{ .Release.Revision }}}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: broken, image: "app:1"}]}}
{{- end }}
""",
    "tests/test.yaml": """
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations: {helm.sh/hook: test}
spec: {restartPolicy: Never, containers: [{name: test, image: "test:{{ .Values.test }}"}]}
""",
}
VALUES = {"value": "one", "broken": False, "test": "passes"}


def outcome(pod: Object) -> str:
    """What becomes of a pod."""
    name, image = objects.name(pod), pod["spec"]["containers"][0]["image"]
    if "broken" in name or image == "test:fails":
        return "Failed"
    return "Succeeded" if image.startswith("test:") else "Running"


async def prepared(world: FluxWorld, folder: Path) -> None:
    """Offer the chart and let pods end as `outcome` says."""
    world.base.kubelet.phase = outcome
    world.shelf.put(chart(folder, templates=TEMPLATES, values=VALUES))


async def versions(world: FluxWorld, name: str) -> list[Release]:
    """What Helm's storage has of a release, oldest first."""
    found = await world.client.list(SECRETS, "default", label_selector=f"name={name},owner=helm")
    return sorted((releases.from_secret(secret) for secret in found.items), key=lambda each: each.version)


def same(obj: Object, **wanted: str) -> bool:
    """Whether the conditions named have these statuses."""
    present = statuses(obj)
    return all(present.get(type) == status for type, status in wanted.items())


async def test_install_fail(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await prepared(world, tmp_path)
        await world.release("install-fail", values={"broken": True})
        failed = await world.until(
            "install-fail", lambda obj: same(obj, Released="False", Ready="False", Stalled="True")
        )
        why = "Helm install failed for release default/install-fail with chart demo@1.0.0: job is failed: "
        assert message(failed, "Released") == f"{why}default/install-fail-broken-1"
        assert message(failed, "Stalled") == "Failed to install after 1 attempt(s)"
        (only,) = await versions(world, "install-fail")
        assert only.status == "failed"
        assert failed["status"]["observedGeneration"] == 1


async def test_install_test_fail(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await prepared(world, tmp_path)
        await world.release("app", test={"enable": True}, values={"test": "fails"})
        failed = await world.until("app", lambda obj: same(obj, Stalled="True"))
        assert same(failed, Released="True", TestSuccess="False", Ready="False")
        assert "pod app-test failed" in message(failed, "TestSuccess")
        assert failed["status"]["history"][0]["testHooks"]["app-test"]["phase"] == "Failed"
        assert len(await versions(world, "app")) == 1


async def test_install_test_fail_ignore(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await prepared(world, tmp_path)
        await world.release("app", test={"enable": True, "ignoreFailures": True}, values={"test": "fails"})
        ready = await world.ready("app")
        assert same(ready, Released="True", TestSuccess="False", Ready="True")
        assert len(await versions(world, "app")) == 1


async def test_install_fail_remediate(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await prepared(world, tmp_path)
        remediation = {"remediateLastFailure": True}
        await world.release(
            "app", install={"remediation": remediation}, uninstall={"keepHistory": True}, values={"broken": True}
        )
        failed = await world.until("app", lambda obj: same(obj, Remediated="True", Stalled="True"))
        assert same(failed, Released="False", Ready="False")
        assert message(failed, "Remediated") == (
            "Helm uninstall remediation for release default/app.v1 with chart demo@1.0.0 succeeded"
        )
        (only,) = await versions(world, "app")
        assert only.status == "uninstalled"


async def test_install_fail_retry(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await prepared(world, tmp_path)
        await world.release("app", install={"remediation": {"retries": 1}}, values={"broken": True})
        failed = await world.until("app", lambda obj: same(obj, Stalled="True"))
        assert same(failed, Released="False", Ready="False")
        assert failed["status"]["installFailures"] == 2
        assert message(failed, "Stalled") == "Failed to install after 2 attempt(s)"
        assert len(await versions(world, "app")) == 1


async def upgraded(world: FluxWorld, folder: Path, change: dict[str, Any], **spec: Any) -> None:
    """Install well, then change the values."""
    await prepared(world, folder)
    await world.release("app", **spec)
    await world.ready("app")
    await world.change("app", {"values": change})


async def test_upgrade_fail(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await upgraded(world, tmp_path, {"broken": True})
        failed = await world.until("app", lambda obj: same(obj, Stalled="True"))
        assert same(failed, Released="False", Ready="False")
        assert [each.status for each in await versions(world, "app")] == ["deployed", "failed"]
        assert [each["status"] for each in failed["status"]["history"]] == ["failed", "deployed"]


async def test_upgrade_test_fail(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await upgraded(world, tmp_path, {"test": "fails"}, test={"enable": True})
        failed = await world.until("app", lambda obj: same(obj, Stalled="True"))
        assert same(failed, Released="True", TestSuccess="False", Ready="False")
        assert [each.status for each in await versions(world, "app")] == ["superseded", "deployed"]


async def test_upgrade_fail_remediate(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        remediation = {"remediateLastFailure": True}
        await upgraded(world, tmp_path, {"broken": True, "value": "two"}, upgrade={"remediation": remediation})
        failed = await world.until("app", lambda obj: same(obj, Remediated="True", Stalled="True"))
        assert same(failed, Released="False", Ready="False")
        assert message(failed, "Ready") == (
            "Helm rollback to previous release default/app.v1 with chart demo@1.0.0 succeeded"
        )
        found = await versions(world, "app")
        assert [each.status for each in found] == ["superseded", "failed", "deployed"]
        assert found[-1].info.description == "Rollback to 1"
        config = await world.client.get(CONFIG_MAPS, "app-config", "default")
        assert config["data"]["value"] == "one"


async def test_upgrade_fail_retry(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await upgraded(world, tmp_path, {"broken": True}, upgrade={"remediation": {"retries": 1}})
        failed = await world.until("app", lambda obj: same(obj, Stalled="True"))
        assert same(failed, Released="False", Ready="False")
        assert failed["status"]["upgradeFailures"] == 2
        assert len(await versions(world, "app")) == 5


async def test_upgrade_fail_remediate_uninstall(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        remediation = {"remediateLastFailure": True, "strategy": "uninstall"}
        await upgraded(world, tmp_path, {"broken": True}, upgrade={"remediation": remediation})
        await world.until("app", lambda obj: same(obj, Remediated="True", Stalled="True"))
        assert await versions(world, "app") == []
        # the next interval finds no release and installs
        world.base.clock.advance(601)
        failed = await world.until("app", lambda obj: obj["status"].get("installFailures") == 1)
        assert failed["status"]["upgradeFailures"] == 1
        assert same(failed, Released="False", Ready="False")
        (only,) = await versions(world, "app")
        assert only.status == "failed"


async def test_the_way_out_of_a_stall_is_a_change(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        await prepared(world, tmp_path)
        await world.release("app", values={"broken": True})
        await world.until("app", lambda obj: same(obj, Stalled="True"))
        await world.change("app", {"values": {"broken": False}})
        ready = await world.ready("app")
        assert "Stalled" not in statuses(ready)
        assert "installFailures" not in ready["status"]
        assert [each.status for each in await versions(world, "app")] == ["superseded", "deployed"]
