"""Running the tests of a release."""

from __future__ import annotations

from nerv.builders.helm import Release
from nerv.controllers.flux.helm import snapshots
from nerv.controllers.flux.helm.engine.cluster import ActionError
from nerv.controllers.flux.helm.engine.storage import Observe
from nerv.controllers.flux.helm.engine.uninstall import test as helm_test
from nerv.controllers.flux.helm.request import TEST_SUCCESS, Request, StepError
from nerv.controllers.flux.helm.steps.remediation import NoLatest
from nerv.errors import NervError


async def test(request: Request) -> None:
    """Test the newest version; results of no other are accepted. Raises StepError."""
    current = request.latest
    if current is None:
        request.summarize()
        raise NoLatest("no latest release: required for test")

    def observe(release: Release) -> None:
        latest = request.latest
        if latest is not None and snapshots.targets(latest, release):
            fresh = snapshots.of(release, latest.get("ociDigest", ""), snapshots.test_hooks(release))
            request.history = [fresh, *request.history[1:]]

    try:
        await _run(request, observe)
    except NervError as error:
        _failed(request, error)
        request.summarize()
        latest = request.latest
        if latest is None or not snapshots.tested(latest):
            raise StepError(error.message) from None
        return
    _succeeded(request)
    request.summarize()


async def _run(request: Request, observe: Observe) -> None:
    storage = request.storage(observe)
    release = await storage.last(request.view.release_name)
    latest = request.latest
    if release is None or latest is None:
        raise ActionError("release: not found")
    if not snapshots.targets(latest, release):
        tested = f"{release.namespace}/{release.name}.v{release.version}"
        name = snapshots.full_name(latest)
        raise ActionError(f"release mismatch: tested release {tested} != current release {name}")
    names = {hook.name for hook in release.hooks if "test" in hook.events}
    skipped = request.view.skipped_tests(names)
    await helm_test(request.cluster, storage, release, request.view.timeout("test"), skipped)


def _succeeded(request: Request) -> None:
    latest = request.latest
    assert latest is not None
    count = len(latest.get("testHooks") or {})
    what = f"{count} test hook{'s' if count > 1 else ''} completed successfully" if count else "no test hooks"
    place = f"{snapshots.full_name(latest)} with chart {snapshots.chart_name(latest)}"
    message = f"Helm test succeeded for release {place}: {what}"
    request.draft.mark(TEST_SUCCESS, "True", "TestSucceeded", message)
    request.event("Normal", "TestSucceeded", message, latest)


def _failed(request: Request, error: NervError) -> None:
    latest = request.latest
    assert latest is not None
    place = f"{snapshots.full_name(latest)} with chart {snapshots.chart_name(latest)}"
    message = f"Helm test failed for release {place}: {error.message.strip()}"
    request.count_failure()
    request.draft.mark(TEST_SUCCESS, "False", "TestFailed", message)
    request.event("Warning", "TestFailed", message, latest)
    if snapshots.tested(latest) and not request.view.ignores_test_failures(
        request.status.get("lastAttemptedReleaseAction")
    ):
        request.count_attempt()
