"""`nerv bootstrap git`: any server that speaks Git, as `flux bootstrap git` does it. The repository must be there."""

from __future__ import annotations

from nerv.builders import ssh
from nerv.builders.git import Access, GitError
from nerv.deploy.hosting.git import Remote
from nerv.errors import NervError
from nerv.operations.hosting import login as logins
from nerv.operations.hosting import steps, storing
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import Request
from nerv.operations.hosting.steps import Desk


async def bootstrap(desk: Desk, request: Request, username: str, password: str) -> Login:
    """Push the platform to the server and let Flux reconcile it from there. Returns Flux's login.

    `password` is for https; over ssh the key of the options pushes, or the user's own. Raises NervError.
    """
    await steps.check(desk, request)
    there = await logins.of_cluster(desk.client)
    if request.auth == "token":
        login = logins.with_token(request, username, password, there)
        access = Access(username=username, password=password, authorities=request.options.authorities)
    else:
        login = await steps.known_hosts(desk, request.url, logins.with_key(request, there, storing.stored(request)))
        access = _ssh_access(request, login)
    remote = Remote(request.url, request.branch, access)
    await _look(remote)
    await steps.publish(desk, request, remote, login)

    async def introduce() -> None:
        if not login.public_key or login.present or request.options.private_key:
            return
        desk.journal.say(f"Flux's public key: {login.public_key}")
        if desk.journal.change("let Flux's key read the repository: add it to the server as a deploy key"):
            await _introduced(desk, request, login)

    await steps.join(desk, request, remote, login, introduce)
    return login


def _ssh_access(request: Request, login: Login) -> Access:
    if not request.options.private_key:
        return Access()  # ssh of the user, with his own configuration, agent and known hosts
    return Access(identity=ssh.identity(request.options.private_key), known_hosts=login.data["known_hosts"])


async def _look(remote: Remote) -> None:
    """Raises NervError when the server does not answer, or not for this user."""
    try:
        await remote.head()
    except GitError as error:
        hint = "create the repository first, empty; see whether user, password and --ca-file are right"
        raise NervError(f"{remote.url} cannot be read: {error.message}", hint) from None


async def _introduced(desk: Desk, request: Request, login: Login) -> None:
    """Wait for a person to have added the key. Raises NervError when the server does not take it then."""
    access = Access(identity=ssh.identity(login.data["identity"]), known_hosts=login.data["known_hosts"])
    flux = Remote(request.url, request.branch, access)
    while True:
        try:
            await flux.head()
            return
        except GitError as error:
            if not desk.confirm("Try again, now that the key is added?"):
                hint = "add the public key above to the repository's deploy keys and run the same command again"
                raise NervError(f"the server does not take Flux's key: {error.message}", hint) from None
