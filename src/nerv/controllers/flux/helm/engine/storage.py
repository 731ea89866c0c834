"""Release Secrets: read, written, pruned. Every write is told to the observers, which is how Flux learns of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nerv.builders.helm import Release, releases, sdk
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS

Observe = Callable[[Release], None]


@dataclass(frozen=True)
class Storage:
    """The releases kept in one namespace. `max_history` versions are kept of each, 0 for all."""

    cluster: Cluster
    namespace: str
    max_history: int = 0
    observe: Observe = field(default=lambda release: None)

    async def versions(self, name: str) -> list[Object]:
        """The Secrets of a release, oldest first."""
        selector = f"name={name},{releases.OWNER}"
        listed = await self.cluster.client.list(SECRETS, self.namespace, label_selector=selector)
        return sorted(listed.items, key=lambda secret: int(objects.labels(secret).get("version", "0")))

    async def last(self, name: str) -> Release | None:
        """The newest version, whatever its state."""
        found = await self.versions(name)
        return await read(found[-1]) if found else None

    async def get(self, name: str, version: int) -> Release | None:
        """One version."""
        try:
            secret = await self.cluster.client.get(SECRETS, releases.secret_name(name, version), self.namespace)
        except errors.NotFound:
            return None
        return await read(secret)

    async def deployed(self, name: str) -> list[Release]:
        """The versions that are marked as deployed, oldest first; usually one."""
        found = await self.versions(name)
        return [await read(each) for each in found if objects.labels(each).get("status") == releases.DEPLOYED]

    async def create(self, release: Release) -> None:
        """Store a new version, after making room for it. Raises ActionError."""
        if self.max_history > 0:
            await self._make_room(release.name)
        secret = await self._secret(release)
        try:
            await self.cluster.client.create(SECRETS, secret)
        except errors.ApiError as error:
            raise ActionError(f"create: failed to create: {error.message}") from None
        self.observe(release)

    async def update(self, release: Release) -> None:
        """Store another state of a version. Raises ActionError."""
        secret = await self._secret(release)
        try:
            await self.cluster.client.replace(SECRETS, secret)
        except errors.ApiError as error:
            raise ActionError(f"update: failed to update: {error.message}") from None
        self.observe(release)

    async def delete(self, release: Release) -> None:
        """Forget a version. Raises ActionError."""
        name = releases.secret_name(release.name, release.version)
        try:
            await self.cluster.client.delete(SECRETS, name, self.namespace)
        except errors.ApiError as error:
            raise ActionError(f"delete: failed to delete: {error.message}") from None
        self.observe(release)

    async def _secret(self, release: Release) -> Object:
        now = self.cluster.clock.now()
        return await sdk.call(lambda: releases.to_secret(release, now, self.namespace))

    async def _make_room(self, name: str) -> None:
        """Delete the oldest until one more fits; the newest deployed one always stays."""
        found = await self.versions(name)
        deployed = [each for each in found if objects.labels(each).get("status") == releases.DEPLOYED]
        kept = objects.name(deployed[-1]) if deployed else ""
        surplus = len(found) - (self.max_history - 1)
        for secret in [each for each in found if objects.name(each) != kept][: max(surplus, 0)]:
            await self.cluster.client.delete(SECRETS, objects.name(secret), self.namespace)


async def read(secret: Object) -> Release:
    """The release in a Secret. Raises ActionError."""
    try:
        return await sdk.call(lambda: releases.from_secret(secret))
    except ValueError as error:
        raise ActionError(str(error)) from None
