"""What a bootstrap makes at GitHub: repository, deploy key, webhook. Each is left alone where it is there already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nerv.deploy.hosting.github import GitHub, GitHubError, HostedRepository, User
from nerv.deploy.hosting.journal import Journal
from nerv.errors import NervError

_DELIVERY_SECONDS = 20.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Place:
    """A repository at GitHub, and where changes are told."""

    github: GitHub
    owner: str
    name: str
    journal: Journal

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


async def make_repository(
    place: Place, user: User, found: HostedRepository | None, *, private: bool, personal: bool
) -> None:
    """Create the repository, or adopt the one that is there. Raises NervError."""
    kind = "private" if private else "public"
    if found is not None:
        place.journal.say(f"repository {place.full_name} is there ({'private' if found.private else 'public'})")
        if found.private is not private:
            place.journal.say(f"it stays as it is: its settings make it {kind}")
        return
    own = place.owner.lower() == user.login.lower()
    if personal and not own:
        raise NervError(f"the token belongs to {user.login}, not to {place.owner}", "leave out --personal")
    if not place.journal.change(f"create the {kind} repository {place.full_name}"):
        return
    try:
        await place.github.create_repository(place.owner, place.name, personal=own, private=private)
    except GitHubError as error:
        raise _not_created(error, place, own) from None


def _not_created(error: GitHubError, place: Place, own: bool) -> NervError:
    if error.status == 422 and "already exists" in error.message:
        hint = "add it to the repositories of the token, or give the token the scope `repo`"
        return NervError(f"{place.full_name} exists, and the token may not see it", hint)
    if error.status == 404 and not own:
        return NervError(f"there is no organization {place.owner} that the token may see", "see --owner")
    if error.status == 403:
        hint = "give it `Administration: write` for all repositories, or create the repository yourself and run again"
        return NervError(f"the token may not create {place.full_name}", hint)
    return error


def deploy_key_title(branch: str, cluster_path: str) -> str:
    """The title that `flux bootstrap` gives the key of a cluster: namespace, branch, Secret, folder. Pure."""
    return f"flux-system-{branch}-flux-system-./{cluster_path.removeprefix('./')}"


async def make_deploy_key(place: Place, title: str, public: str, *, read_only: bool) -> None:
    """Let the key read (and write, where asked) the repository; one of that title with another key is replaced."""
    wanted = _key(public)
    mode = "read-only" if read_only else "read-write"
    for present in await _read(place, place.github.deploy_keys):
        same = _key(present.get("key", "")) == wanted
        if same and bool(present.get("read_only")) is read_only:
            place.journal.say(f"deploy key {present.get('title', title)} is there ({mode})")
            return
        what = f"replace the deploy key {title}"
        if (same or present.get("title") == title) and place.journal.change(what):
            await place.github.remove_deploy_key(place.owner, place.name, int(present["id"]))
    if place.journal.change(f"add the {mode} deploy key {title}"):
        await place.github.add_deploy_key(place.owner, place.name, title=title, key=wanted, read_only=read_only)


def _key(line: str) -> str:
    """A public key without its comment."""
    return " ".join(line.split()[:2])


async def make_webhook(place: Place, url: str, token: str, *, verify_tls: bool = True) -> int | None:
    """A webhook that tells of pushes. Returns its number; None with `dry_run` where there is none.

    GitHub never tells a webhook's secret, so one that is there is taken to have ours: its path is made of it.
    """
    config = {
        "url": url,
        "content_type": "json",
        "secret": token,
        "insecure_ssl": "0" if verify_tls else "1",
    }
    base = url.rpartition("/")[0]
    for hook in await _read(place, place.github.hooks):
        there = hook.get("config", {})
        if there.get("url") == url and hook.get("active") and "push" in hook.get("events", ()):
            place.journal.say(f"webhook {base}/... is there")
            return int(hook["id"])
        if str(there.get("url", "")).rpartition("/")[0] == base:
            if place.journal.change(f"update the webhook {base}/..."):
                await place.github.update_hook(place.owner, place.name, int(hook["id"]), config)
            return int(hook["id"])
    if not place.journal.change(f"add the webhook {base}/..."):
        return None
    return await place.github.add_hook(place.owner, place.name, config)


async def verify_webhook(place: Place, number: int) -> str:
    """Let GitHub send a ping. Returns why it did not arrive, or nothing."""
    github, began = place.github, await _newest(place, number)
    await github.ping_hook(place.owner, place.name, number)
    deadline = time.monotonic() + _DELIVERY_SECONDS
    while time.monotonic() < deadline:
        for delivery in await github.hook_deliveries(place.owner, place.name, number):
            if delivery.get("event") == "ping" and int(delivery["id"]) > began and delivery.get("status"):
                return "" if delivery.get("status_code") == 200 else _undelivered(delivery)
        await asyncio.sleep(_POLL_SECONDS)
    return f"no word of the ping within {_DELIVERY_SECONDS:.0f} s"


async def has_arrived(place: Place, number: int) -> bool:
    """Whether one of the last requests was taken."""
    return any(
        each.get("status_code") == 200 for each in await place.github.hook_deliveries(place.owner, place.name, number)
    )


async def _newest(place: Place, number: int) -> int:
    deliveries = await place.github.hook_deliveries(place.owner, place.name, number)
    return max((int(each["id"]) for each in deliveries), default=0)


def _undelivered(delivery: dict[str, Any]) -> str:
    code = delivery.get("status_code") or 0
    return str(delivery.get("status")) + (f" (HTTP {code})" if code else "")


async def _read(place: Place, read: Callable[[str, str], Any]) -> list[dict[str, Any]]:
    """A list of the repository; empty where it would only be made."""
    try:
        found: list[dict[str, Any]] = await read(place.owner, place.name)
    except GitHubError as error:
        if error.status == 404 and place.journal.dry_run:
            return []
        raise
    return found
