"""One run of a Kustomization: fetch, build, apply, record, prune, wait. A step that fails ends it with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nerv.builders.kustomize import BuildError, PathError, Sources
from nerv.controllers.flux import durations
from nerv.controllers.flux.api import HEALTHY, KUSTOMIZE_GROUP, READY
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.draft import Draft
from nerv.controllers.flux.kustomization import decryption, drift, manifests
from nerv.controllers.flux.kustomization.applying import Applier, ApplyError, Change
from nerv.controllers.flux.kustomization.health import Expressions, Unhealthy, Watch
from nerv.controllers.runtime import Informers
from nerv.errors import NervError
from nerv.kube import inventory
from nerv.kube.client import Client
from nerv.kube.inventory import Reference
from nerv.kube.objects import Object, split_api_version

_STAGE_TIMEOUT = 60.0


class RunError(NervError):
    """A step failed; `reason` is that of the Ready condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Run:
    """What one run needs. `client` is the controller's own, `target` speaks for whom the objects are applied."""

    draft: Draft
    artifact: Object
    client: Client
    target: Client
    informers: Informers
    storage: Storage
    expressions: Expressions
    building: asyncio.Semaphore
    tell: Callable[[str, str], None]
    """Record an event: type and message."""
    interrupted: asyncio.Event

    @property
    def revision(self) -> str:
        """The revision that is applied."""
        found: str = self.artifact["revision"]
        return found

    @property
    def timeout(self) -> float:
        """Seconds that health checks may take."""
        spec = self.draft.spec
        given = spec.get("timeout")
        return max(durations.parse(given) if given else durations.parse(spec["interval"]) - 30, 30.0)

    @property
    def watch(self) -> Watch:
        """How health is looked at."""
        return Watch(self.client, self.informers, self.draft.clock, self.expressions)

    @property
    def owner(self) -> dict[str, str]:
        """The labels of everything that the Kustomization applies."""
        return {f"{KUSTOMIZE_GROUP}/name": self.draft.name, f"{KUSTOMIZE_GROUP}/namespace": self.draft.namespace}

    def applier(self) -> Applier:
        """What applies and deletes for this Kustomization."""

        async def settle(references: Sequence[Reference]) -> None:
            await self.watch.wait(references, _STAGE_TIMEOUT)

        return Applier(self.target, settle, self.owner, force=bool(self.draft.spec.get("force")))

    async def run(self) -> None:
        """The whole run. Raises RunError, Interrupted."""
        draft = self.draft
        draft.mark(READY, "Unknown", "Progressing", "Reconciliation in progress")
        sources = self._sources()
        self._progress("Building manifests")
        draft.status["lastAttemptedRevision"] = self.revision
        await draft.save()
        objects = await self._build(sources)
        before = inventory.read(draft.status.get("inventory"))
        changes = await self._apply(objects)
        applied = [change.reference for change in changes]
        draft.status["inventory"] = inventory.write(applied)
        await self._prune(before, applied)
        await self._check_health(changes, drifted=any(change.changed for change in changes))
        draft.status["lastAppliedRevision"] = self.revision
        draft.mark(READY, "True", "ReconciliationSucceeded", f"Applied revision: {self.revision}")

    def _progress(self, what: str) -> None:
        message = f"{what} for revision {self.revision} with a timeout of {durations.text(self.timeout)}"
        self.draft.reconciling("Progressing", message)

    def _sources(self) -> Sources:
        self._progress("Fetching manifests")
        try:
            sources = self.storage.sources(self.artifact)
            sources.folder(self.draft.spec.get("path") or "")
        except (FileNotFoundError, ValueError):
            raise RunError("ArtifactFailed", "Source is not ready, artifact not found") from None
        except PathError as error:
            raise RunError("ArtifactFailed", error.message) from None
        return sources

    async def _build(self, sources: Sources) -> list[Object]:
        try:
            async with self.building:
                built = await manifests.build(self.client, self.draft.namespace, self.draft.spec, sources)
        except (BuildError, PathError) as error:
            raise RunError("BuildFailed", error.message) from None
        except FileNotFoundError:
            # the artifact was replaced by newer ones while it was built: their revision has woken us already
            raise RunError("ArtifactFailed", "Source is not ready, artifact not found") from None
        common = self.draft.spec.get("commonMetadata") or {}
        labels = {**self.owner, **(common.get("labels") or {})}
        return [drift.normalize(obj, labels, common.get("annotations") or {}) for obj in built]

    async def _apply(self, objects: list[Object]) -> list[Change]:
        for obj in objects:
            if decryption.is_encrypted_secret(obj):
                why = "is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
                raise RunError("ReconciliationFailed", f"{Reference.of(obj).subject} {why}")
        self._progress("Detecting drift")
        try:
            changes = await self.applier().apply(objects)
        except ApplyError as error:
            log = "".join(f"{change}\n" for change in error.changes if change.changed)
            raise RunError("ReconciliationFailed", f"{error.message}\n{log}") from None
        log = "\n".join(str(change) for change in changes if change.changed)
        if log:
            self.tell("Normal", log)
        return changes

    async def _prune(self, before: list[Reference], applied: list[Reference]) -> None:
        if not self.draft.spec.get("prune"):
            return
        stale = inventory.difference(before, applied)
        if not stale:
            return
        try:
            changes = await self.applier().delete(stale)
        except ApplyError as error:
            settled = {change.reference for change in error.changes}
            survivors = [reference for reference in stale if reference not in settled]
            # what could not be deleted stays known, so that the next run tries again
            self.draft.status["inventory"] = inventory.write([*applied, *survivors])
            raise RunError("PruneFailed", error.message) from None
        self.tell("Normal", "\n".join(str(change) for change in changes))

    async def _check_health(self, changes: list[Change], *, drifted: bool) -> None:
        draft = self.draft
        references = self._checked(changes)
        if not references:
            draft.drop(HEALTHY)
            return
        was_healthy = draft.is_true(HEALTHY)
        is_new = draft.status.get("lastAppliedRevision") != self.revision
        self._progress("Running health checks")
        progress = draft.condition("Reconciling")
        draft.mark(HEALTHY, "Unknown", "Progressing", progress["message"] if progress else "")
        await draft.save()
        begun = draft.clock.monotonic()
        try:
            await self.watch.wait(references, self.timeout, self.interrupted)
        except Unhealthy as error:
            draft.mark(HEALTHY, "False", "HealthCheckFailed", error.message)
            passed = durations.text(round(draft.clock.monotonic() - begun, 6))
            raise RunError("HealthCheckFailed", f"health check failed after {passed}: {error.message}") from None
        message = f"Health check passed in {durations.text(round(draft.clock.monotonic() - begun, 6))}"
        if not was_healthy or (is_new and drifted):
            self.tell("Normal", message)
        draft.mark(HEALTHY, "True", "Succeeded", message)

    def _checked(self, changes: list[Change]) -> list[Reference]:
        """Whose health counts: everything applied with `wait`, else what is listed; never the Kustomization itself."""
        spec = self.draft.spec
        if spec.get("wait"):
            found = [change.reference for change in changes if change.action != "skipped"]
        else:
            found = [_listed(each, self.draft.namespace) for each in spec.get("healthChecks") or ()]
        own = ("Kustomization", self.draft.namespace, self.draft.name)
        return [each for each in found if (each.kind, each.namespace, each.name) != own]


def _listed(check: Object, namespace: str) -> Reference:
    group, version = split_api_version(check.get("apiVersion") or "v1")
    return Reference(check.get("namespace") or namespace, check["name"], group, check["kind"], version)
