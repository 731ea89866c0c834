"""`nerv bootstrap github`: as `flux bootstrap github` does it, with the platform's own repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nerv.builders import ssh
from nerv.builders.git import Access
from nerv.deploy.hosting import hosted
from nerv.deploy.hosting.git import Remote
from nerv.deploy.hosting.github import GitHub, api_url
from nerv.deploy.hosting.hosted import Place
from nerv.deploy.hosting.permissions import Wishes, probe_token_scopes
from nerv.operations.hosting import login as logins
from nerv.operations.hosting import steps, storing, webhook
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import GitHubPlace, Request
from nerv.operations.hosting.steps import Desk


async def bootstrap(desk: Desk, request: Request, where: GitHubPlace, token: str) -> Login:
    """Host the platform at GitHub and let Flux reconcile it from there. Returns Flux's login. Raises NervError."""
    await steps.check(desk, request)
    options = request.options
    async with GitHub(api_url(where.hostname), token, options.authorities) as github:
        wishes = Wishes(
            where.owner,
            where.name,
            private=options.private,
            deploy_key=request.auth == "deployKey",
            webhook=webhook.wanted(request),
            workflows=_holds_workflows(request.folder.root),
        )
        user, found = await probe_token_scopes(github, wishes)
        place = Place(github, where.owner, where.name, desk.journal)
        await hosted.make_repository(place, user, found, private=options.private, personal=options.personal)
        login = await _login(desk, request, github, token)
        access = Access(username=user.login, password=token, authorities=options.authorities)
        remote = Remote(where.https_url, request.branch, access)
        if found is None and desk.journal.dry_run:
            _foretell(desk, request, login)
            return login
        await steps.publish(desk, request, remote, login)

        async def introduce() -> None:
            if login.public_key:
                title = hosted.deploy_key_title(request.branch, request.path)
                read_only = not options.read_write_key
                await hosted.make_deploy_key(place, title, login.public_key, read_only=read_only)

        await steps.join(desk, request, remote, login, introduce)
        await webhook.install(desk, request, place)
    return login


async def _login(desk: Desk, request: Request, github: GitHub, token: str) -> Login:
    there = await logins.of_cluster(desk.client)
    if request.auth == "token":
        return logins.with_token(request, "git", token, there)
    found = logins.with_key(request, there, storing.stored(request))
    if not found.present and not found.data.get("known_hosts"):
        # GitHub tells its host keys over TLS, which is better than a look at whoever answers
        keys = await github.ssh_host_keys()
        lines = "".join(ssh.known_host(*ssh.place(request.url), key) for key in keys)
        found = replace(found, data={**found.data, "known_hosts": lines})
    return await steps.known_hosts(desk, request.url, found)


def _foretell(desk: Desk, request: Request, login: Login) -> None:
    """The rest of a dry run, where there is no repository yet to be looked at."""
    journal = desk.journal
    journal.change(f"push branch {request.branch}")
    if desk.client is not None:
        journal.change(f"install Flux and let it reconcile {request.url}, ./{request.path}")
    if login.public_key:
        journal.change(f"add the deploy key {hosted.deploy_key_title(request.branch, request.path)}")
    if webhook.wanted(request):
        journal.change("add the webhook")


def _holds_workflows(root: Path) -> bool:
    return any((root / ".github" / "workflows").glob("*.y*ml"))
