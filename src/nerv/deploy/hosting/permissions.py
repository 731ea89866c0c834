"""Whether a token of GitHub may do what a bootstrap asks of it: looked at before anything is changed.

Classic tokens name their scopes; fine-grained ones name nothing, so what they may read is tried, and what they may only
write is named by GitHub's refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.deploy.hosting.github import GitHub, GitHubError, HostedRepository, User
from nerv.errors import NervError

# a scope includes these
_INCLUDED = {
    "repo": frozenset({"public_repo", "admin:repo_hook", "write:repo_hook"}),
    "admin:repo_hook": frozenset({"write:repo_hook"}),
}
_DOCS = "https://github.com/settings/tokens"


@dataclass(frozen=True)
class Wishes:
    """What the token is wanted for."""

    owner: str
    name: str
    private: bool = True
    deploy_key: bool = False
    webhook: bool = False
    workflows: bool = False
    """The repository holds GitHub workflows, which only some tokens may push."""


def missing_scopes(granted: Iterable[str], wishes: Wishes, *, private: bool) -> list[str]:
    """Each missing scope of a classic token, and what for. Pure."""
    held = set(granted)
    for scope in tuple(held):
        held |= _INCLUDED.get(scope, frozenset())
    wanted = [("repo" if private else "public_repo", f"a {'private' if private else 'public'} repository and pushes")]
    if wishes.webhook:
        wanted.append(("admin:repo_hook", "the webhook that tells Flux of pushes"))
    if wishes.workflows:
        wanted.append(("workflow", "the files in .github/workflows"))
    return [f"`{scope}` for {why}" for scope, why in wanted if scope not in held]


async def probe_token_scopes(github: GitHub, wishes: Wishes) -> tuple[User, HostedRepository | None]:
    """Whose token it is, and the repository if there is one. Raises NervError that names everything missing."""
    user = await github.user()
    found = await github.repository(wishes.owner, wishes.name)
    private = found.private if found is not None else wishes.private
    if user.scopes is not None:
        lacks = missing_scopes(user.scopes, wishes, private=private)
        if lacks:
            has = ", ".join(sorted(user.scopes)) or "none"
            raise NervError(f"the token lacks the scope {' and '.join(lacks)} (it has {has})", f"add it at {_DOCS}")
    elif found is not None:
        await _try(github, wishes)
    if found is not None:
        _check_rights(user, found, wishes)
    return user, found


async def _try(github: GitHub, wishes: Wishes) -> None:
    """What a fine-grained token may read tells what it may do. Raises NervError."""
    lacks = []
    tried = (
        (wishes.deploy_key, github.deploy_keys, "`Administration: write` for the deploy key"),
        (wishes.webhook, github.hooks, "`Webhooks: write` for the webhook that tells Flux of pushes"),
    )
    for wanted, read, what in tried:
        try:
            if wanted:
                await read(wishes.owner, wishes.name)
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            lacks.append(what)
    if lacks:
        where = f"{wishes.owner}/{wishes.name}"
        raise NervError(
            f"the token lacks the permission {' and '.join(lacks)} on {where}",
            f"add it at https://github.com/settings/personal-access-tokens, with {where} among its repositories",
        )


def _check_rights(user: User, found: HostedRepository, wishes: Wishes) -> None:
    where = f"{found.owner}/{found.name}"
    if found.archived:
        raise NervError(f"{where} is archived", "unarchive it in its settings, or choose another repository")
    if not found.can_push:
        raise NervError(f"{user.login} may not push to {where}", "ask an administrator of it for the role Write")
    if wishes.deploy_key and not found.can_administer:
        raise NervError(
            f"{user.login} is no administrator of {where}, so it cannot be given a deploy key",
            "ask for the role Admin, or use --token-auth",
        )
    if wishes.webhook and not found.can_administer:
        raise NervError(
            f"{user.login} is no administrator of {where}, so it cannot be given a webhook",
            "ask for the role Admin, or use --no-webhook",
        )
