"""The reconciler of HelmReleases: prerequisites, the loop over the release, deletion; and when to come back."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nerv.builders.helm import Chart, ChartError, values
from nerv.controllers.flux import draft as drafts
from nerv.controllers.flux import durations
from nerv.controllers.flux.api import HELM_CHARTS, HELM_RELEASES, OCI_REPOSITORIES, READY
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.helm import atomic, chart_template, requests, sources, values_from
from nerv.controllers.flux.helm.atomic import Verdict
from nerv.controllers.flux.helm.attempt import Attempt
from nerv.controllers.flux.helm.engine.cluster import MANAGER, Cluster
from nerv.controllers.flux.helm.request import Request
from nerv.controllers.flux.helm.sources import ArtifactGone
from nerv.controllers.flux.helm.steps.remediation import NoLatest, uninstall
from nerv.controllers.flux.helm.view import View
from nerv.controllers.runtime import (
    Clock,
    Controller,
    Done,
    EventRecorder,
    Informers,
    Key,
    Outcome,
    Requeue,
    RetryAfter,
    SystemClock,
    Watch,
    Writer,
    key_of,
)
from nerv.errors import NervError
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SERVICE_ACCOUNTS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HelmConfig:
    """`artifacts` is where charts are. `impersonate` gives a client that speaks as a service account (namespace, name).

    `kubeconfig` gives the content of one for Helm's `lookup`; without it `lookup` finds nothing. Dependencies are
    looked at when they change, and every `dependency_interval` seconds besides.
    """

    artifacts: Storage
    clock: Clock = field(default_factory=SystemClock)
    impersonate: Callable[[str, str], Client] | None = None
    kubeconfig: Callable[[], str] = field(default=lambda: "")
    dependency_interval: float = 30.0
    concurrency: int = 4


class _Waiting(NervError):
    """A prerequisite is not there; `outcome` says when to look again."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class _Denied(NervError):
    """What the object asks for cannot be given until it is changed."""


def controller(client: Client, informers: Informers, config: HelmConfig) -> Controller:
    """The helm-controller. It starts as soon as HelmReleases are known to the server."""
    reconciler = Reconciler(client, informers, config)
    return Controller(
        MANAGER,
        reconciler.reconcile,
        (
            Watch(informers.of(HELM_RELEASES), reconciler.asked),
            Watch(informers.of(HELM_CHARTS), reconciler.source_changed, required=False),
            Watch(informers.of(OCI_REPOSITORIES), reconciler.source_changed, required=False),
        ),
        concurrency=config.concurrency,
        clock=config.clock,
        # Flux's own limits (fluxcd/pkg runtime/controller): a failed action is not tried again at once
        first_delay=0.75,
        last_delay=900.0,
    )


class Reconciler:
    """Reconciles one HelmRelease at a time for each worker."""

    def __init__(self, client: Client, informers: Informers, config: HelmConfig) -> None:
        self._config = config
        self._informers = informers
        self._client = client.named(MANAGER)
        self._own = Cluster(self._client, informers, config.clock)
        self._releases = informers.of(HELM_RELEASES)
        self._events = EventRecorder(self._client, MANAGER, config.clock)

    def asked(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The object itself where it asks for work, and those that wait for it where its readiness changed."""
        if new is not None and drafts.asked(old, new):
            yield key_of(new)
        if new is not None and (old is None or _satisfied(old) != _satisfied(new)):
            for each in self._releases.list():
                if (objects.namespace(new), objects.name(new)) in View(each).dependencies:
                    yield key_of(each)

    def source_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Those whose chart comes from the source, where it has another artifact now, or another reason for none."""
        if new is None or (old is None and not any(_artifact(new))):
            return
        if old is not None and _artifact(old) == _artifact(new) and sources.not_ready(old) == sources.not_ready(new):
            return
        for each in self._releases.list():
            resource, namespace, name = sources.reference(View(each))
            if (resource.kind, namespace, name) == (objects.kind(new), objects.namespace(new), objects.name(new)):
                yield key_of(each)

    async def reconcile(self, key: Key) -> Outcome:
        """Reconcile one object and save what came of it. Raises what is to be tried again after a back-off."""
        obj = self._releases.get(key.namespace, key.name)
        if obj is None:
            return Done()
        writer = Writer(self._client, self._informers)
        draft = Attempt(obj, writer, self._config.clock)
        if objects.deleting(obj):
            return await self._delete(draft)
        if await draft.add_finalizer():
            # the object is seen anew, with its finalizer
            return Done()
        view = View(draft.obj)
        if view.spec.get("suspend"):
            draft.handled()
            await draft.save()
            return Done()
        try:
            outcome = await self._reconcile(draft, view)
        finally:
            draft.handled()
            await draft.save()
        return outcome

    async def _reconcile(self, draft: Attempt, view: View) -> Outcome:
        request = Request(draft, view, self._own, self._events)
        await chart_template.reconcile(request, self._own)
        draft.reconciling("Progressing", "Fulfilling prerequisites")
        await draft.save()
        try:
            source = self._prerequisites(draft, view)
            chosen = await self._values(request)
            chart, oci_digest = await self._chart(request, source)
            request.cluster = self._cluster(draft, view)
        except _Waiting as waiting:
            _log.info("[%s/%s] %s", view.namespace, view.name, waiting.message)
            return waiting.outcome
        except _Denied as error:
            draft.stalled("AccessDenied", error.message)
            draft.mark(READY, "False", "AccessDenied", error.message)
            draft.observed()
            return Done()
        request.chart, request.values = chart, chosen
        request.kubeconfig = self._config.kubeconfig()
        if _target_changed(request):
            await self._leave_target(request)
            return Requeue()
        self._attempt(request, oci_digest)
        verdict = await atomic.reconcile(request)
        if verdict is Verdict.AGAIN:
            return Requeue()
        draft.observed()
        return Done() if verdict is Verdict.STALLED else RetryAfter(view.interval)

    def _prerequisites(self, draft: Attempt, view: View) -> Object:
        """Dependencies first, then the source. Raises _Waiting."""
        again = RetryAfter(self._config.dependency_interval)
        for namespace, name in view.dependencies:
            problem = _problem(self._releases.get(namespace, name), f"{namespace}/{name}")
            if problem:
                draft.mark(READY, "False", "DependencyNotReady", problem)
                self._events.event(draft.obj, "Normal", "DependencyNotReady", problem)
                raise _Waiting(problem, again)
        _progressing(draft, "DependencyNotReady")
        resource, namespace, name = sources.reference(view)
        source = self._informers.of(resource).get(namespace, name)
        if source is None:
            missing = f'could not get Source object: {resource.kind}.{resource.group} "{name}" not found'
            draft.mark(READY, "False", "ArtifactFailed", missing)
            raise _Waiting(missing, again)
        _progressing(draft, "AccessDenied", "ArtifactFailed")
        problem = sources.not_ready(source)
        if problem:
            draft.mark(READY, "False", "SourceNotReady", problem)
            # the source's artifact wakes us
            raise _Waiting(problem, RetryAfter(view.interval))
        _progressing(draft, "SourceNotReady")
        return source

    async def _values(self, request: Request) -> dict[str, object]:
        try:
            found = await values_from.compose(self._client, request.view)
        except NervError as error:
            request.draft.mark(READY, "False", "ValuesError", error.message)
            request.event("Warning", "ValuesError", error.message)
            raise
        _progressing(request.draft, "ValuesError")
        return found

    async def _chart(self, request: Request, source: Object) -> tuple[Chart, str]:
        draft = request.draft
        try:
            chart = await sources.load(self._config.artifacts, source)
        except ArtifactGone as error:
            seconds = self._config.dependency_interval
            message = f"{error.message}. Retrying in {durations.text(seconds)}"
            draft.mark(READY, "False", "ArtifactFailed", message)
            raise _Waiting(message, RetryAfter(seconds)) from None
        except ChartError as error:
            draft.mark(READY, "False", "ArtifactFailed", f"Could not load chart: {error.message}")
            request.event("Warning", "ArtifactFailed", error.message)
            raise
        _progressing(draft, "ArtifactFailed")
        try:
            return sources.with_revision(chart, source)
        except NervError as error:
            draft.mark(READY, "False", "ChartMutateError", error.message)
            raise

    def _cluster(self, draft: Attempt, view: View) -> Cluster:
        """The cluster as the object may see it: as its service account, if it names one. Raises _Denied."""
        if view.spec.get("kubeConfig"):
            raise _Denied("spec.kubeConfig is not supported: this cluster reconciles itself alone")
        account = view.spec.get("serviceAccountName")
        if not account:
            return self._own
        if self._config.impersonate is None:
            raise _Denied(f"cannot act as service account {view.namespace}/{account}")
        client = self._config.impersonate(view.namespace, account).named(MANAGER)
        return Cluster(client, self._informers, self._config.clock)

    def _attempt(self, request: Request, oci_digest: str) -> None:
        """Note what is attempted; if it is something new, failures are counted anew."""
        status, chart = request.status, request.chart
        assert chart is not None
        status["storageNamespace"] = request.view.storage_namespace
        digest = values.digest(request.values)
        # asked first: the request counts as handled even if something else resets the counters
        reset = requests.reset(request.draft.origin, status)
        changed = (
            status.get("lastAttemptedGeneration") != request.draft.generation
            or status.get("lastAttemptedRevision") != chart.version
            or status.get("lastAttemptedConfigDigest", digest) != digest
        )
        if reset or changed:
            request.clear_failures()
        status["lastAttemptedGeneration"] = request.draft.generation
        status["lastAttemptedRevision"] = chart.version
        status["lastAttemptedConfigDigest"] = digest
        status.pop("lastAttemptedRevisionDigest", None)
        if oci_digest:
            status["lastAttemptedRevisionDigest"] = oci_digest

    async def _leave_target(self, request: Request) -> None:
        """Uninstall the release that the object was for, before another one is made."""
        with contextlib.suppress(NoLatest):
            await uninstall(request)
        request.history = []
        request.clear_failures()
        request.status.pop("storageNamespace", None)

    async def _delete(self, draft: Attempt) -> Outcome:
        """Uninstall and let the object go; a suspended one leaves its release behind. Raises StepError."""
        if not objects.finalizers(draft.obj):
            return Done()
        view = View(draft.obj)
        if not view.spec.get("suspend"):
            request = Request(draft, view, self._own, self._events)
            try:
                await self._uninstall(request)
                await chart_template.delete(request, self._own)
            finally:
                await self._save_if_there(draft)
        with contextlib.suppress(errors.NotFound):
            await draft.remove_finalizer()
        return Done()

    async def _uninstall(self, request: Request) -> None:
        if not request.status.get("storageNamespace"):
            return
        account = request.view.spec.get("serviceAccountName")
        if account:
            try:
                await self._client.get(SERVICE_ACCOUNTS, account, request.view.namespace)
                request.cluster = self._cluster(request.draft, request.view)
            except (errors.NotFound, _Denied) as error:
                # nobody may uninstall any more, for instance because the namespace is going away
                _log.warning("[%s/%s] release stays: %s", request.view.namespace, request.view.name, error)
                return
        with contextlib.suppress(NoLatest):
            await uninstall(request)
        request.history = []
        request.status.pop("storageNamespace", None)

    async def _save_if_there(self, draft: Attempt) -> None:
        try:
            await draft.save()
        except errors.NotFound:
            return


def _satisfied(release: Object) -> bool:
    """Whether dependents may go on: reconciled in its present generation, and ready."""
    status = release.get("status") or {}
    return status.get("observedGeneration") == objects.generation(release) and objects.is_true(release, READY)


def _problem(dependency: Object | None, key: str) -> str:
    if dependency is None:
        name = key.rpartition("/")[2]
        missing = f'{HELM_RELEASES.plural}.{HELM_RELEASES.group} "{name}" not found'
        return f"unable to get '{key}' dependency: {missing}"
    return "" if _satisfied(dependency) else f"dependency '{key}' is not ready"


def _artifact(source: Object) -> tuple[str, str]:
    artifact = (source.get("status") or {}).get("artifact") or {}
    return artifact.get("revision", ""), artifact.get("digest", "")


def _progressing(draft: Attempt, *reasons: str) -> None:
    """A prerequisite that was missing is there: what Ready said of it is over."""
    ready = draft.condition(READY)
    if ready is not None and ready["status"] == "False" and ready["reason"] in reasons:
        draft.mark(READY, "Unknown", "Progressing", "reconciliation in progress")


def _target_changed(request: Request) -> bool:
    """Whether the object is for another release now: other namespaces, another name, another chart."""
    latest, status, view = request.latest, request.status, request.view
    if latest is None or not status.get("storageNamespace") or request.chart is None:
        return False
    now = (view.storage_namespace, view.release_namespace, view.release_name, request.chart.name)
    return now != (status["storageNamespace"], latest["namespace"], latest["name"], latest["chartName"])
