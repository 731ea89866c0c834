"""Flux in a cluster, as `flux bootstrap` brings it there: components, secrets, sync, and the wait for its first run.

Objects are applied server-side as field manager `flux`, custom resource definitions and namespaces first, and waited
for (fluxcd/flux2 pkg/bootstrap). Works on any cluster that a `kube.client.Client` reaches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from nerv.errors import NervError
from nerv.kube import errors, kstatus, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, SECRETS, Resource

NAMESPACE = "flux-system"
NAME = "flux-system"
"""Of the GitRepository, the Kustomization and the Secret of a bootstrapped cluster."""
FIELD_MANAGER = "flux"
GIT_REPOSITORIES = Resource("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository")
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
SYNC_KINDS = (GIT_REPOSITORIES.kind, KUSTOMIZATIONS.kind)

_FIRST_KINDS = ("CustomResourceDefinition", "Namespace")
_FIRST_SECONDS = 60.0
_AGAIN_SECONDS, _POLL_SECONDS = 2.0, 0.1
# what a source says that no further try can mend
_HOPELESS = ("knownhosts:", "unable to authenticate", "authentication required", "authorization failed", "no key found")

Say = Callable[[str], object]


async def kustomization(client: Client) -> Object | None:
    """The Kustomization that a bootstrap makes; None where Flux is not there."""
    try:
        return await client.get(KUSTOMIZATIONS, NAME, NAMESPACE)
    except errors.NotFound:
        return None


async def git_repository(client: Client) -> Object | None:
    """The GitRepository that a bootstrap makes; None where it is not there."""
    try:
        return await client.get(GIT_REPOSITORIES, NAME, NAMESPACE)
    except errors.NotFound:
        return None


async def bootstrapped(client: Client) -> bool:
    """Whether the cluster has already applied its repository once."""
    found = await kustomization(client)
    return bool(((found or {}).get("status") or {}).get("lastAppliedRevision"))


async def check_path(client: Client, path: str) -> None:
    """Raises NervError when the cluster is bootstrapped from another folder."""
    found = await kustomization(client)
    present = str((found or {}).get("spec", {}).get("path") or "")
    if found is not None and present.strip("./") != path.strip("./"):
        raise NervError(
            f"this cluster is bootstrapped from {present or './'}, not from ./{path.strip('./')}",
            "give that folder with --path, or choose another cluster with --context",
        )


async def apply_all(client: Client, found: Iterable[Object], manager: str = FIELD_MANAGER) -> None:
    """Server-side apply in two stages: definitions and namespaces, then the rest side by side. Raises ApiError."""
    first, rest = _stages(found)
    for stage in (first, rest):
        tasks = [asyncio.ensure_future(_apply(client, obj, manager)) for obj in stage]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _end(tasks)
        if stage is first:
            await _established(client, [objects.name(obj) for obj in stage if obj["kind"] == _FIRST_KINDS[0]])


async def _end(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _stages(found: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    everything = list(found)
    first = [obj for obj in everything if obj["kind"] in _FIRST_KINDS]
    return first, [obj for obj in everything if obj["kind"] not in _FIRST_KINDS]


async def _apply(client: Client, obj: Object, manager: str) -> None:
    resource = await _served(client, obj)
    await client.apply(resource, obj, field_manager=manager)


async def _served(client: Client, obj: Object) -> Resource:
    """Discovery knows an established definition a moment later."""
    deadline = time.monotonic() + _FIRST_SECONDS
    while True:
        try:
            return await client.resource_for(obj["apiVersion"], obj["kind"])
        except errors.NoMatch as error:
            if time.monotonic() > deadline:
                raise NervError(f"{error} after {_FIRST_SECONDS:.0f} s") from None
        await asyncio.sleep(_POLL_SECONDS)


async def _established(client: Client, names: Sequence[str]) -> None:
    """Wait until definitions are served. Raises NervError that names those that are not."""
    deadline = time.monotonic() + _FIRST_SECONDS
    waiting = list(names)
    while waiting:
        listed = {objects.name(each): each for each in (await client.list(CUSTOM_RESOURCE_DEFINITIONS)).items}
        waiting = [name for name in waiting if not objects.is_true(listed.get(name, {}), "Established")]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise NervError(f"not established within {_FIRST_SECONDS:.0f} s: {', '.join(waiting)}")
        await asyncio.sleep(_POLL_SECONDS)


async def install(
    client: Client, components: Sequence[Object], sync: Sequence[Object], secrets: Sequence[Object]
) -> None:
    """Components, then `secrets`, then the GitRepository and Kustomization that reconcile the rest. Raises ApiError."""
    await apply_all(client, [obj for obj in components if obj["kind"] not in SYNC_KINDS])
    for secret in secrets:
        await client.apply(SECRETS, secret, field_manager=FIELD_MANAGER)
    await apply_all(client, sync)


async def secret_exists(client: Client, name: str) -> bool:
    """Whether flux-system holds a Secret of that name."""
    try:
        await client.get(SECRETS, name, NAMESPACE)
    except errors.NotFound:
        return False
    return True


async def wait_for_flux(
    client: Client, *, revision: str, timeout: float = 300.0, say: Say = lambda _: None, components: Sequence[str] = ()
) -> None:
    """Wait until Flux has fetched and applied `revision` (main@sha1:...) and the Deployments `components` are healthy.

    A Kustomization that fails with this revision, and a source that cannot come right by itself, end the wait at once.
    Raises NervError that says what was waited for.
    """
    wait = _Wait(revision, tuple(components))
    followed = (GIT_REPOSITORIES, KUSTOMIZATIONS, DEPLOYMENTS)
    tasks = [asyncio.ensure_future(_follow(client, resource, wait)) for resource in followed]
    try:
        await _until(wait, timeout, say)
    finally:
        await _end(tasks)


@dataclass
class _Wait:
    """What is known of the cluster so far."""

    revision: str
    components: tuple[str, ...]
    seen: dict[tuple[str, str], Object] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    unreachable: str = ""

    def waiting(self) -> str:
        """What is waited for now, nothing when all is done. Raises NervError when waiting is of no use."""
        if self.unreachable:
            return self.unreachable
        return self._source() or self._applied() or self._healthy()

    def _source(self) -> str:
        found = self.seen.get((GIT_REPOSITORIES.kind, NAME))
        what = f"GitRepository {NAMESPACE}/{NAME} to fetch {self.revision}"
        if found is None:
            return what
        _check_active(found)
        ready = objects.condition(found, "Ready") or {}
        said = str(ready.get("message", ""))
        failed = ready.get("status") == "False" and _attempted(found)
        if failed and (objects.is_true(found, "Stalled") or any(word in said for word in _HOPELESS)):
            raise NervError(f"GitRepository {NAMESPACE}/{NAME} cannot be fetched: {said}")
        fetched = ((found.get("status") or {}).get("artifact") or {}).get("revision")
        if ready.get("status") == "True" and fetched == self.revision and _current(found):
            return ""
        return f"{what}{f'; it says: {said}' if said else ''}"

    def _applied(self) -> str:
        found = self.seen.get((KUSTOMIZATIONS.kind, NAME))
        what = f"Kustomization {NAMESPACE}/{NAME} to apply {self.revision}"
        if found is None:
            return what
        _check_active(found)
        status, ready = found.get("status") or {}, objects.condition(found, "Ready") or {}
        if status.get("lastAttemptedRevision") == self.revision and _attempted(found):
            if ready.get("status") == "True" and _current(found):
                return ""
            if ready.get("status") == "False":
                raise NervError(f"Kustomization {NAMESPACE}/{NAME} failed: {ready.get('message', '')}")
        said = ready.get("message", "")
        return f"{what}{f'; it says: {said}' if said else ''}"

    def _healthy(self) -> str:
        for name in self.components:
            found = self.seen.get((DEPLOYMENTS.kind, name))
            status = kstatus.compute(found)
            if found is None or status.level is not kstatus.Level.CURRENT:
                return f"Deployment {NAMESPACE}/{name} to be ready{f'; it says: {status.message}' if found else ''}"
        return ""


def _check_active(found: Object) -> None:
    """Raises NervError for what somebody has suspended."""
    if (found.get("spec") or {}).get("suspend"):
        place = f"{NAMESPACE}/{NAME}"
        raise NervError(f"{found['kind']} {place} is suspended", f"`nerv resume {found['kind']}/{place}` lets it go on")


def _current(found: Object) -> bool:
    return bool((found.get("status") or {}).get("observedGeneration", 0) >= objects.generation(found))


def _attempted(found: Object) -> bool:
    """Whether Ready speaks of this generation: a failed run does not move observedGeneration, its condition does."""
    ready = objects.condition(found, "Ready") or {}
    return bool(ready.get("observedGeneration", 0) >= objects.generation(found))


async def _until(wait: _Wait, timeout: float, say: Say) -> None:
    told, last = "", "the API server"
    try:
        async with asyncio.timeout(timeout):
            while True:
                wait.changed.clear()
                waiting = wait.waiting()
                if not waiting:
                    return
                last, subject = waiting, waiting.partition(";")[0]
                if subject != told:
                    told = subject
                    say(f"waiting for {subject}")
                await wait.changed.wait()
    except TimeoutError:
        hint = "Flux goes on trying; the same command run again goes on waiting"
        raise NervError(f"not done within {timeout:g} s: waited for {last}", hint) from None


async def _follow(client: Client, resource: Resource, wait: _Wait) -> None:
    """Keep `wait` current: a list, then a watch from there, for ever."""
    while True:
        try:
            listed = await client.list(resource, NAMESPACE)
            _take(wait, resource, listed.items)
            events = client.watch(resource, NAMESPACE, resource_version=listed.resource_version)
            async with aclosing(events):
                async for event in events:
                    if event.type in ("ADDED", "MODIFIED"):
                        _take(wait, resource, [event.object])
        except errors.Unreachable as error:
            wait.unreachable = error.message
            wait.changed.set()
        except errors.ApiError:
            pass  # not served yet, or the watch became too old: list again
        await asyncio.sleep(_AGAIN_SECONDS)


def _take(wait: _Wait, resource: Resource, found: Iterable[Object]) -> None:
    wait.unreachable = ""
    for obj in found:
        wait.seen[resource.kind, objects.name(obj)] = obj
    wait.changed.set()
