"""What all sources share: storage, progress, failure, and the summary that their Ready condition is.

A kind of source is one async function that fetches; it raises `Failed` (tried again, ever later), `Stuck` (waits for a
change of the object) or `Later` (something else has to come first, which will wake us).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nerv.controllers.flux import durations
from nerv.controllers.flux.api import READY, SOURCE_GROUP
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.draft import Draft
from nerv.controllers.runtime import Done, EventRecorder, Key, Outcome, RetryAfter
from nerv.errors import NervError
from nerv.kube import objects
from nerv.kube.objects import Object

_log = logging.getLogger(__name__)

STORED = "ArtifactInStorage"
OUTDATED = "ArtifactOutdated"
FETCH_FAILED = "FetchFailed"
BUILD_FAILED = "BuildFailed"
STORAGE_FAILED = "StorageOperationFailed"
INCLUDE_UNAVAILABLE = "IncludeUnavailable"
VERIFIED = "SourceVerified"
_FAILURES = (STORAGE_FAILED, BUILD_FAILED, FETCH_FAILED, INCLUDE_UNAVAILABLE)
_FIRST_RETRY, _LAST_RETRY = 0.75, 900.0


class Failed(NervError):
    """`condition` becomes True with `reason` and the message."""

    def __init__(self, condition: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.condition = condition
        self.reason = reason


class Stuck(Failed):
    """As `Failed`, and nothing but a change of the object will help."""


class Later(Failed):
    """As `Failed`, but no event is worth being told: what is missing will wake us when it comes."""


@dataclass
class Fetched:
    """What a fetch came to. `changed`: a new artifact was stored; `stored` is the message of ArtifactInStorage."""

    stored: str
    event: str
    reason: str = "Succeeded"
    changed: bool = False


Fetch = Callable[[Draft], Awaitable[Fetched]]


@dataclass
class Source:
    """The reconciler of one kind of source."""

    draft_of: Callable[[Key], Draft | None]
    fetch: Fetch
    storage: Storage
    events: EventRecorder
    _failures: dict[Key, int] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one source up to date. See `Controller`."""
        draft = self.draft_of(key)
        if draft is None:
            self._failures.pop(key, None)
            return Done()
        if objects.deleting(draft.obj):
            self.storage.remove_all(draft.resource.kind, key.namespace, key.name)
            await draft.remove_finalizer()
            return Done()
        await draft.add_finalizer()
        if draft.spec.get("suspend"):
            return Done()
        await self._begin(draft)
        return await self._run(key, draft)

    async def _begin(self, draft: Draft) -> None:
        """Say that work began where someone waits for it, and look after what was stored."""
        seen = draft.status.get("observedGeneration", -1)
        if draft.generation != seen:
            progress(draft, f"processing object: new generation {seen} -> {draft.generation}")
        else:
            progress(draft, "reconciliation in progress")
        artifact = draft.status.get("artifact")
        if artifact:
            self.storage.collect(artifact)
        missing = artifact is not None and not self.storage.holds(artifact)
        if missing:
            del draft.status["artifact"]
            draft.status.pop("url", None)
        if "artifact" not in draft.status:
            drifted(draft, "building artifact" + (": disappeared from storage" if missing else ""))
            draft.drop(STORED)
        if draft.generation != seen or draft.requested or "artifact" not in draft.status:
            await draft.save()

    async def _run(self, key: Key, draft: Draft) -> Outcome:
        before = (draft.status.get("artifact") or {}).get("digest")
        had_failed = any(draft.is_true(type) for type in _FAILURES)
        try:
            fetched = await self.fetch(draft)
        except Stuck as error:
            return await self._stuck(key, draft, error)
        except Later as error:
            return await self._failed(key, draft, error, quiet=True)
        except Failed as error:
            return await self._failed(key, draft, error)
        except OSError as error:
            why = f"unable to archive artifact to storage: {error.strerror or error}"
            return await self._failed(key, draft, Failed(STORAGE_FAILED, "ArchiveOperationFailed", why))
        self._failures.pop(key, None)
        draft.drop(*_FAILURES, OUTDATED, "Reconciling", "Stalled")
        draft.mark(STORED, "True", fetched.reason, fetched.stored)
        draft.mark(READY, "True", fetched.reason, fetched.stored)
        draft.observed()
        draft.handled()
        await draft.save()
        after = (draft.status.get("artifact") or {}).get("digest")
        if after != before:
            self._event(
                draft, "Normal", "NewArtifact" if fetched.reason == "Succeeded" else fetched.reason, fetched.event
            )
        elif had_failed:
            self._event(draft, "Normal", fetched.reason, fetched.event)
        return RetryAfter(interval(draft))

    async def _stuck(self, key: Key, draft: Draft, error: Failed) -> Outcome:
        self._failures.pop(key, None)
        draft.mark(error.condition, "True", error.reason, error.message)
        draft.mark(READY, "False", error.reason, error.message)
        draft.stalled(error.reason, error.message)
        draft.observed()
        draft.handled()
        await draft.save()
        self._event(draft, "Warning", error.reason, error.message)
        return Done()

    async def _failed(self, key: Key, draft: Draft, error: Failed, *, quiet: bool = False) -> Outcome:
        draft.mark(error.condition, "True", error.reason, error.message)
        draft.mark(READY, "False", error.reason, error.message)
        reconciling = draft.condition("Reconciling")
        draft.reconciling("ProgressingWithRetry", reconciling["message"] if reconciling else error.message)
        draft.handled()
        await draft.save()
        if not quiet:
            self._event(draft, "Warning", error.reason, error.message)
            _log.warning("%s [%s] %s", draft.resource.kind, key, error.message)
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        return RetryAfter(min(_FIRST_RETRY * 2.0 ** min(count, 20), _LAST_RETRY))

    def _event(self, draft: Draft, type: str, reason: str, message: str) -> None:
        artifact: Object = draft.status.get("artifact") or {}
        annotations = {}
        if artifact and type == "Normal":
            annotations = {
                f"{SOURCE_GROUP}/revision": artifact["revision"],
                f"{SOURCE_GROUP}/digest": artifact["digest"],
            }
        self.events.event(draft.obj, type, reason, message, annotations)


def progress(draft: Draft, message: str) -> None:
    """Work goes on; what was ready stays ready."""
    draft.reconciling("Progressing", message)
    if draft.condition(READY) is None:
        draft.mark(READY, "Unknown", "Progressing", message)


def drifted(draft: Draft, message: str) -> None:
    """Work goes on, and what is stored is not what it should be."""
    draft.reconciling("Progressing", message)
    draft.mark(READY, "Unknown", "Progressing", message)


def interval(draft: Draft) -> float:
    """Seconds until the source is looked at again."""
    return durations.parse(draft.spec.get("interval") or "1m0s")


def timeout(draft: Draft) -> float:
    """Seconds that one operation may take."""
    return durations.parse(draft.spec.get("timeout") or "60s")
