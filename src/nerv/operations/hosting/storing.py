"""The platform's own copy of Flux's login, encrypted in nixos/secrets: machines bootstrap themselves with it."""

from __future__ import annotations

from collections.abc import Mapping

from nerv.deploy.hosting import git
from nerv.deploy.hosting.journal import Journal
from nerv.errors import NervError
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import Request
from nerv.operations.secrets import git_login
from nerv.rendering.secrets import SERVERS_FILE


def stored(request: Request) -> Mapping[str, str]:
    """What the platform keeps for this kind of login; empty where it keeps none, or no key here opens it."""
    if not (request.folder.root / SERVERS_FILE).exists():
        return {}
    try:
        return git_login.git_login(request.folder).data
    except NervError:
        return {}


async def store(journal: Journal, request: Request, login: Login) -> None:
    """Keep what the repository's host was asked for, and a key that was given, so that machines log in as this cluster
    does; commit that file alone. Raises NervError."""
    known, chosen = stored(request), bool(request.options.private_key)
    names = ("username", "password", "known_hosts", *(("identity", "identity.pub") if chosen else ()))
    wanted = {key: login.data[key] for key in names if key in known and login.data.get(key)}
    if not wanted or all(known[key] == value for key, value in wanted.items()):
        return
    if known.get("identity") and known["identity"] != login.data.get("identity") and not chosen:
        journal.say(f"{SERVERS_FILE} holds another key than this cluster has; it stays as it is")
        return
    if not journal.change(f"keep Flux's login for machines, encrypted in {SERVERS_FILE}"):
        return
    await git_login.set_git_login(request.folder, wanted)
    root = request.folder.root
    message = "Flux's login to the repository, encrypted"
    await git.local(root, "-c", "commit.gpgsign=false", "commit", "--quiet", "-m", message, "--", SERVERS_FILE)
