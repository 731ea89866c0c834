"""Kustomizations: when they run, on what, and what their status and events say about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nerv.controllers.flux import durations
from nerv.controllers.flux.api import (
    BUCKETS,
    GIT_REPOSITORIES,
    KUSTOMIZATIONS,
    KUSTOMIZE_GROUP,
    OCI_REPOSITORIES,
    READY,
    RECONCILING,
)
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.config import FluxConfig
from nerv.controllers.flux.draft import Draft, asked
from nerv.controllers.flux.kustomization import dependencies, finalizing
from nerv.controllers.flux.kustomization.applying import ApplyError
from nerv.controllers.flux.kustomization.health import Expressions, Interrupted, InvalidExpression
from nerv.controllers.flux.kustomization.managers import MANAGER
from nerv.controllers.flux.kustomization.run import Run, RunError
from nerv.controllers.runtime import (
    Controller,
    Done,
    EventRecorder,
    Informers,
    Key,
    Outcome,
    RetryAfter,
    Watch,
    Writer,
    key_of,
)
from nerv.errors import NervError
from nerv.kube import errors, inventory, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SERVICE_ACCOUNTS

_log = logging.getLogger(__name__)

_SOURCES = {"GitRepository": GIT_REPOSITORIES, "OCIRepository": OCI_REPOSITORIES, "Bucket": BUCKETS}
_WORKERS = 64
"""Runs that wait for health cost nothing, so many may be under way; builds at once are few."""
_BUILDS = 4


class _Gone(NervError):
    """The account that the Kustomization runs as does not exist."""


@dataclass
class Reconciler:
    """The state between runs: who waits for health, and can be told to stop waiting."""

    client: Client
    informers: Informers
    storage: Storage
    events: EventRecorder
    config: FluxConfig
    _interrupts: dict[Key, tuple[asyncio.Event, str]] = field(default_factory=dict)
    _building: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_BUILDS))

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one Kustomization up to date. See `Controller`."""
        obj = self.informers.of(KUSTOMIZATIONS).get(key.namespace, key.name)
        if obj is None:
            return Done()
        writer = Writer(self.client.named(f"gotk-{MANAGER}"), self.informers)
        draft = Draft(KUSTOMIZATIONS, obj, writer, self.config.clock)
        if objects.deleting(obj):
            return await self._finalize(draft)
        await draft.add_finalizer()
        if draft.spec.get("suspend"):
            return Done()
        begun = self.config.clock.monotonic()
        outcome = await self._run(key, draft)
        draft.handled()
        if draft.is_true(READY):
            draft.drop(RECONCILING)
            draft.observed()
        reconciling = draft.condition(RECONCILING)
        if reconciling and not draft.is_true(READY):
            draft.mark(RECONCILING, "True", "ProgressingWithRetry", reconciling["message"])
        await draft.save()
        if draft.is_true(READY):
            passed = durations.text(round(self.config.clock.monotonic() - begun, 6))
            every = durations.text(durations.parse(draft.spec["interval"]))
            self._tell(draft, "Normal", f"Reconciliation finished in {passed}, next run in {every}")
        return outcome

    async def _run(self, key: Key, draft: Draft) -> Outcome:
        try:
            expressions = Expressions.of(draft.spec.get("healthCheckExprs") or (), self.config.clock)
        except InvalidExpression as error:
            message = f"Reconciliation failed terminally due to configuration error: {error.message}"
            self._stall(draft, "InvalidCELExpression", message)
            return Done()
        if (draft.spec.get("decryption") or {}).get("serviceAccountName"):
            self._stall(
                draft,
                "FeatureGateDisabled",
                "to use spec.decryption.serviceAccountName for decryption authentication please enable the "
                "ObjectLevelWorkloadIdentity feature gate in the controller",
            )
            return Done()
        artifact, outcome = self._artifact(draft)
        if artifact is None:
            return outcome
        waiting = dependencies.missing(draft.obj, artifact["revision"], self.informers.of(KUSTOMIZATIONS).get)
        if waiting:
            return self._wait_for_dependencies(draft, waiting)
        return await self._apply(key, draft, artifact, expressions)

    def _stall(self, draft: Draft, reason: str, message: str) -> None:
        draft.mark(READY, "False", reason, message)
        draft.stalled(reason, message)
        draft.observed()
        self._tell(draft, "Warning", message, revision="")

    def _artifact(self, draft: Draft) -> tuple[Object | None, Outcome]:
        """The artifact to build from, or what to do without one."""
        kind, namespace, name = dependencies.source_of(draft.obj)
        retry = RetryAfter(self._retry(draft))
        resource = _SOURCES.get(kind)
        if resource is None:
            draft.mark(READY, "False", "ArtifactFailed", f"source `{name}` kind '{kind}' not supported")
            return None, retry
        source = self.informers.of(resource).get(namespace, name)
        if source is None:
            draft.mark(READY, "False", "ArtifactFailed", f'{kind}.{resource.group} "{name}" not found')
            return None, retry
        artifact: Object | None = (source.get("status") or {}).get("artifact")
        if artifact is None:
            again = self.config.dependency_interval
            message = f"Source artifact not found, retrying in {durations.text(again)}"
            draft.mark(READY, "False", "ArtifactFailed", message)
            return None, RetryAfter(again)
        return artifact, retry

    def _wait_for_dependencies(self, draft: Draft, why: str) -> Outcome:
        before = draft.condition(READY) or {}
        draft.mark(READY, "False", "DependencyNotReady", why)
        again = self.config.dependency_interval
        if (before.get("reason"), before.get("message")) != ("DependencyNotReady", why):
            message = f"Dependencies do not meet ready condition, retrying in {durations.text(again)}"
            self._tell(draft, "Normal", message)
        return RetryAfter(again)

    async def _apply(self, key: Key, draft: Draft, artifact: Object, expressions: Expressions) -> Outcome:
        interrupted = asyncio.Event()
        self._interrupts[key] = (interrupted, artifact["revision"])
        try:
            run = Run(
                draft,
                artifact,
                self.client,
                await self._target(draft),
                self.informers,
                self.storage,
                expressions,
                self._building,
                lambda type, message: self._tell(draft, type, message, revision=artifact["revision"]),
                interrupted,
            )
            await run.run()
        except Interrupted:
            kind, namespace, name = dependencies.source_of(draft.obj)
            trigger = f"{kind}/{namespace}/{name}"
            draft.mark(READY, "False", "HealthCheckCanceled", f"New reconciliation triggered by {trigger}")
            message = f"Health checks canceled due to new reconciliation triggered by {trigger}"
            self._tell(draft, "Normal", message, revision=artifact["revision"])
            return RetryAfter(0)
        except RunError as error:
            return self._failed(key, draft, artifact, error)
        finally:
            self._interrupts.pop(key, None)
        return RetryAfter(durations.parse(draft.spec["interval"]))

    def _failed(self, key: Key, draft: Draft, artifact: Object, error: RunError) -> Outcome:
        draft.mark(READY, "False", error.reason, error.message)
        if error.reason == "ArtifactFailed" and "artifact not found" in error.message:
            again = self.config.dependency_interval
            draft.mark(READY, "False", error.reason, f"{error.message}, retrying in {durations.text(again)}")
            return RetryAfter(again)
        self._tell(draft, "Warning", error.message, revision=artifact["revision"])
        again = self._retry(draft)
        _log.warning("Kustomization [%s] %s, next try in %s", key, error.message.strip(), durations.text(again))
        return RetryAfter(again)

    async def _target(self, draft: Draft) -> Client:
        """The client that objects are applied with. Raises RunError."""
        if draft.spec.get("kubeConfig"):
            why = "spec.kubeConfig is not supported here, remote clusters cannot be reached"
            raise RunError("ReconciliationFailed", f"failed to build kube client: {why}")
        account = draft.spec.get("serviceAccountName")
        if not account:
            return self.client.named(MANAGER)
        if self.config.impersonate is None:
            why = f"cannot impersonate service account {draft.namespace}/{account}"
            raise RunError("ReconciliationFailed", f"failed to build kube client: {why}")
        return self.config.impersonate(draft.namespace, account).named(MANAGER)

    async def _finalize(self, draft: Draft) -> Outcome:
        if finalizing.deletes(draft):
            try:
                await self._delete_objects(draft)
            except ApplyError:
                self._tell(draft, "Warning", "pruning for deleted resource failed")
                raise
            except _Gone:
                listed = "\n".join(each.subject for each in inventory.read(draft.status.get("inventory")))
                self._tell(draft, "Warning", f"unable to prune objects: \n{listed}")
        await draft.remove_finalizer()
        return Done()

    async def _delete_objects(self, draft: Draft) -> None:
        account = draft.spec.get("serviceAccountName")
        if account:
            try:
                await self.client.get(SERVICE_ACCOUNTS, account, draft.namespace)
            except errors.NotFound:
                raise _Gone(f"service account {account} is gone") from None
        run = Run(
            draft,
            {"revision": draft.status.get("lastAppliedRevision", "")},
            self.client,
            await self._target(draft),
            self.informers,
            self.storage,
            Expressions({}, self.config.clock.now),
            self._building,
            lambda type, message: self._tell(draft, type, message),
            asyncio.Event(),
        )
        changes = await finalizing.delete(draft, run.applier(), run.tell)
        if draft.spec.get("deletionPolicy") == "WaitForTermination" and not await finalizing.terminated(
            changes, self.client, self.informers, self.config.clock, run.timeout
        ):
            self._tell(draft, "Warning", "failed to wait for resources termination")

    def _retry(self, draft: Draft) -> float:
        return durations.parse(draft.spec.get("retryInterval") or draft.spec["interval"])

    def _tell(self, draft: Draft, type: str, message: str, *, revision: str | None = None) -> None:
        """An event; its reason is that of the Ready condition as it is now."""
        ready = draft.condition(READY)
        shown = draft.status.get("lastAppliedRevision", "") if revision is None else revision
        self.events.event(
            draft.obj,
            type,
            ready["reason"] if ready else ("error" if type == "Warning" else "info"),
            message,
            {f"{KUSTOMIZE_GROUP}/revision": shown} if shown else None,
        )

    def own(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A Kustomization itself, when more than its status changed; and those that depend on one that got further."""
        if new is not None and asked(old, new):
            if old is not None:
                self._interrupt(key_of(new), None)
            yield key_of(new)
        obj = new if new is not None else old
        if obj is not None and (new is None or old is None or _progress(old) != _progress(new)):
            name = (objects.namespace(obj), objects.name(obj))
            for each in self.informers.of(KUSTOMIZATIONS).indexed("dependsOn", name):
                yield key_of(each)

    def of_source(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The Kustomizations of a source that has a new revision."""
        revision = _revision(new)
        if new is None or not revision or revision == _revision(old):
            return
        source = (new["kind"], objects.namespace(new), objects.name(new))
        for each in self.informers.of(KUSTOMIZATIONS).indexed("source", source):
            self._interrupt(key_of(each), revision)
            yield key_of(each)

    def _interrupt(self, key: Key, revision: str | None) -> None:
        waiting = self._interrupts.get(key)
        if waiting and waiting[1] != revision:
            waiting[0].set()


def _progress(obj: Object) -> tuple[Any, ...]:
    """What of a Kustomization matters to those that depend on it."""
    status = obj.get("status") or {}
    ready = objects.condition(obj, READY) or {}
    return (
        objects.generation(obj),
        ready.get("status"),
        status.get("observedGeneration"),
        status.get("lastAppliedRevision"),
    )


def _revision(source: Object | None) -> str:
    found: str = (((source or {}).get("status") or {}).get("artifact") or {}).get("revision", "")
    return found


def controller(
    client: Client, informers: Informers, storage: Storage, events: EventRecorder, config: FluxConfig
) -> Controller:
    """The controller of Kustomizations."""
    reconciler = Reconciler(client, informers, storage, events, config)
    own = informers.of(KUSTOMIZATIONS)
    own.add_index("dependsOn", dependencies.names)
    own.add_index("source", lambda obj: (dependencies.source_of(obj),))
    sources = tuple(
        Watch(informers.of(resource), reconciler.of_source, required=resource is GIT_REPOSITORIES)
        for resource in _SOURCES.values()
    )
    return Controller(
        "kustomize-controller",
        reconciler.reconcile,
        (Watch(own, reconciler.own), *sources),
        concurrency=_WORKERS,
        clock=config.clock,
    )
