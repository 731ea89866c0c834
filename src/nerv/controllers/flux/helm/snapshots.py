"""`status.history`: what Flux remembers of each version of a release, newest first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nerv.builders.helm import Release, releases, values

Snapshot = dict[str, Any]
_KEPT = 5
_GOOD = (releases.DEPLOYED, releases.SUPERSEDED)


def of(release: Release, oci_digest: str = "", test_hooks: Mapping[str, Any] | None = None) -> Snapshot:
    """The snapshot of a release as it was written to storage."""
    snapshot: Snapshot = {
        "digest": releases.digest(release, oci_digest),
        "name": release.name,
        "namespace": release.namespace,
        "version": release.version,
        "status": release.status,
        "chartName": release.metadata.get("name", ""),
        "chartVersion": release.metadata.get("version", ""),
        "configDigest": values.digest(release.config),
        "firstDeployed": _time(release.info.first_deployed),
        "lastDeployed": _time(release.info.last_deployed),
    }
    optional = {
        "appVersion": release.metadata.get("appVersion"),
        "deleted": _time(release.info.deleted),
        "ociDigest": oci_digest,
    }
    snapshot |= {name: value for name, value in optional.items() if value}
    if test_hooks is not None:
        snapshot["testHooks"] = dict(test_hooks)
    return snapshot


def _time(text: str) -> str:
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_hooks(release: Release) -> dict[str, Any]:
    """The last run of every test hook, by name."""
    found = {}
    for hook in release.hooks:
        if "test" in hook.events:
            run = {
                "lastStarted": _time(hook.last_run.started),
                "lastCompleted": _time(hook.last_run.completed),
                "phase": hook.last_run.phase,
            }
            found[hook.name] = {name: value for name, value in run.items() if value}
    return found


def full_name(snapshot: Mapping[str, Any]) -> str:
    """`namespace/name.vN`."""
    return f"{snapshot['namespace']}/{snapshot['name']}.v{snapshot['version']}"


def chart_name(snapshot: Mapping[str, Any]) -> str:
    """`name@version`."""
    return f"{snapshot['chartName']}@{snapshot['chartVersion']}"


def tested(snapshot: Mapping[str, Any]) -> bool:
    """Whether tests were run, even if there were none to run."""
    return snapshot.get("testHooks") is not None


def failed_test(snapshot: Mapping[str, Any]) -> bool:
    """Whether a test of it failed."""
    return any(hook.get("phase") == "Failed" for hook in (snapshot.get("testHooks") or {}).values())


def latest(history: Sequence[Snapshot]) -> Snapshot | None:
    """The newest version."""
    return max(history, key=lambda each: int(each["version"]), default=None)


def _good(snapshot: Mapping[str, Any], ignore_tests: bool) -> bool:
    return snapshot["status"] in _GOOD and (ignore_tests or not failed_test(snapshot))


def previous(history: Sequence[Snapshot], ignore_tests: bool) -> Snapshot | None:
    """The newest version before the latest that was deployed well: what a rollback goes back to."""
    return next((each for each in _sorted(history)[1:] if _good(each, ignore_tests)), None)


def truncated(history: Sequence[Snapshot], ignore_tests: bool) -> list[Snapshot]:
    """Up to the version that a rollback would go back to; without one, the newest five."""
    ordered = _sorted(history)
    for position, each in enumerate(ordered[1:], 1):
        if _good(each, ignore_tests):
            return ordered[: position + 1]
    return ordered[:_KEPT]


def recorded(history: Sequence[Snapshot], release: Release, *, add: bool) -> list[Snapshot]:
    """The history with the release's own snapshot renewed, or put in front if it has none and `add`."""
    result = list(history)
    for position, each in enumerate(result):
        if targets(each, release):
            result[position] = of(release, each.get("ociDigest", ""), each.get("testHooks"))
            return result
    return [of(release), *result] if add else result


def targets(snapshot: Mapping[str, Any], release: Release) -> bool:
    """Whether it is of this version of this release."""
    same = (snapshot["name"], snapshot["namespace"], snapshot["version"])
    return same == (release.name, release.namespace, release.version)


def _sorted(history: Sequence[Snapshot]) -> list[Snapshot]:
    return sorted(history, key=lambda each: -int(each["version"]))
