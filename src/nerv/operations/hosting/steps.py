"""The order of a bootstrap, the same for every host: publish, install, give secrets, show the host the key, wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from nerv.builders import ssh
from nerv.deploy import flux
from nerv.deploy.hosting import content, git
from nerv.deploy.hosting.git import Remote
from nerv.deploy.hosting.journal import Journal
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.operations.hosting import cluster, storing
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import Request

Confirm = Callable[[str], bool]
"""Asks a person; False where there is none."""


@dataclass(frozen=True)
class Desk:
    """Who is told, who is asked, and the cluster (None: the hosted repository alone is prepared)."""

    journal: Journal
    confirm: Confirm
    client: Client | None


async def check(desk: Desk, request: Request) -> None:
    """Everything that can be refused before anything is changed. Raises NervError."""
    if desk.client is not None:
        await flux.check_path(desk.client, request.path)


async def publish(desk: Desk, request: Request, remote: Remote, login: Login) -> None:
    """The platform's commits on the server, with Flux's login for machines among them. Raises NervError."""
    await storing.store(desk.journal, request, login)
    await content.push_platform(request.folder.root, remote, desk.journal)
    await content.add_remote(request.folder.root, replace(remote, url=request.url), desk.journal)
    await content.commit_as_flux(remote, request.components(), desk.journal, appendix=request.options.appendix)


async def join(
    desk: Desk, request: Request, remote: Remote, login: Login, introduce: Callable[[], Awaitable[None]]
) -> None:
    """Flux into the cluster; `introduce` lets the server know Flux's key. Raises NervError."""
    client, journal = desk.client, desk.journal
    if client is not None:
        await cluster.install_components(client, request, remote, journal)
        await cluster.give_secrets(client, request, login, journal)
    await introduce()
    await content.commit_as_flux(remote, request.sync(), journal, appendix=request.options.appendix)
    if client is not None:
        await cluster.start(client, request, f"{request.branch}@sha1:{await remote.head()}", journal)


async def known_hosts(desk: Desk, url: str, login: Login) -> Login:
    """The login with the server's host key, scanned and confirmed where nobody has given it. Raises NervError."""
    if login.present or not login.public_key or login.data.get("known_hosts"):
        return login
    host, port = ssh.place(url)
    if desk.journal.dry_run:
        desk.journal.change(f"ask {host}:{port} for its host key, to be confirmed")
        return login
    line, fingerprint = await git.scan_host_key(url)
    desk.journal.say(f"{host}:{port} shows the host key {line.split()[1]} {fingerprint}")
    if not desk.confirm(f"Is {fingerprint} the host key of {host}?"):
        raise NervError(
            f"the host key of {host} is not confirmed: {fingerprint}",
            "compare it with what its operator publishes, then confirm it or give it with --known-hosts FILE",
        )
    return Login({**login.data, "known_hosts": line})
