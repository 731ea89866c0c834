"""The hosted repository alone, without a cluster: what comes before machines that bootstrap themselves."""

from __future__ import annotations

from dataclasses import replace

from nerv.components import definition
from nerv.deploy.hosting.journal import Journal
from nerv.operations.folder import PlatformFolder
from nerv.operations.hosting import github, server
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import Options, for_github, for_server
from nerv.operations.hosting.steps import Confirm, Desk


async def prepare_repository(
    folder: PlatformFolder,
    secret: str,
    *,
    journal: Journal,
    options: Options | None = None,
    username: str = "git",
    confirm: Confirm = lambda _: False,
) -> Login:
    """Create or adopt the repository, push the platform, let the host know Flux's key or keep its token.

    `secret` is the token of GitHub, or the password of any other server (empty over ssh). Returns Flux's login, which
    nixos/secrets holds too. A journal with `dry_run` changes nothing. Raises NervError.
    """
    given = replace(options or Options(), dry_run=journal.dry_run)
    desk = Desk(journal, confirm, None)
    if definition.load(folder.definition).spec.repository.provider == "github":
        request, place = for_github(folder, given)
        return await github.bootstrap(desk, request, place, secret)
    return await server.bootstrap(desk, for_server(folder, given), username, secret)
