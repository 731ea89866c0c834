"""`nerv bootstrap`: put the platform's repository on a Git server and let Flux in a cluster reconcile it from there."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.target import Kubeconfig, KubeContext
from nerv.deploy.hosting.journal import Journal
from nerv.errors import NervError
from nerv.operations import session, target
from nerv.operations.hosting import github as on_github
from nerv.operations.hosting import request as requests
from nerv.operations.hosting import server
from nerv.operations.hosting.request import Options
from nerv.operations.hosting.steps import Desk
from nerv.operations.target import Target

bootstrap = typer.Typer(
    help="Put the platform on a Git server and install Flux, which reconciles it from there; no flux program needed.",
    no_args_is_help=True,
)

_CLUSTER, _REPOSITORY = "What Flux reconciles", "The hosted repository"
_Branch: TypeAlias = Annotated[
    str | None, typer.Option(help="Branch. Default: as in nerv.yaml.", rich_help_panel=_CLUSTER)
]
_FolderPath: TypeAlias = Annotated[
    str | None,
    typer.Option("--path", help="The cluster's folder. Default: clusters/NAME.", rich_help_panel=_CLUSTER),
]
_DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
_Timeout: TypeAlias = Annotated[float, typer.Option(help="Seconds to wait for Flux's first run.", min=0.1)]
_RepositoryOnly: TypeAlias = Annotated[
    bool, typer.Option("--repository-only", help="Prepare the hosted repository alone; touch no cluster.")
]
_CaFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--ca-file", help="Authority (PEM) of a server of your own.", exists=True, dir_okay=False),
]
_KnownHosts: TypeAlias = Annotated[
    Path | None,
    typer.Option("--known-hosts", help="The server's host keys, as ssh keeps them.", exists=True, dir_okay=False),
]
_Appendix: TypeAlias = Annotated[
    str, typer.Option("--commit-message-appendix", help="Added to the messages of Flux's commits, such as [ci skip].")
]


@bootstrap.command()
def github(
    context: typer.Context,
    owner: Annotated[
        str | None, typer.Option(help="User or organization. Default: as in nerv.yaml.", rich_help_panel=_REPOSITORY)
    ] = None,
    repository: Annotated[
        str | None, typer.Option(help="Name. Default: as in nerv.yaml.", rich_help_panel=_REPOSITORY)
    ] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="The owner is a user, the token's own.", rich_help_panel=_REPOSITORY)
    ] = False,
    private: Annotated[
        bool, typer.Option("--private/--public", help="Of a repository that is created.", rich_help_panel=_REPOSITORY)
    ] = True,
    token_auth: Annotated[
        bool | None,
        typer.Option(
            "--token-auth/--deploy-key",
            help="Flux logs in with the token, or with a key of its own. Default: as in nerv.yaml.",
            rich_help_panel=_REPOSITORY,
        ),
    ] = None,
    read_write_key: Annotated[
        bool, typer.Option("--read-write-key", help="The deploy key may push too.", rich_help_panel=_REPOSITORY)
    ] = False,
    hostname: Annotated[
        str | None, typer.Option(help="A GitHub Enterprise server.", rich_help_panel=_REPOSITORY)
    ] = None,
    ssh_hostname: Annotated[
        str | None, typer.Option(help="Its name for SSH, where it differs.", rich_help_panel=_REPOSITORY)
    ] = None,
    webhook: Annotated[
        bool, typer.Option("--webhook/--no-webhook", help="Tell Flux of pushes, where the platform has a Receiver.")
    ] = True,
    webhook_url: Annotated[
        str | None, typer.Option(help="Where GitHub reaches the Receiver. Default: https://flux-webhook.DOMAIN.")
    ] = None,
    branch: _Branch = None,
    path: _FolderPath = None,
    ca_file: _CaFile = None,
    known_hosts: _KnownHosts = None,
    appendix: _Appendix = "",
    timeout: _Timeout = requests.DEFAULT_TIMEOUT,
    repository_only: _RepositoryOnly = False,
    dry_run: _DryRun = False,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Use GitHub. The token comes from GITHUB_TOKEN, standard input or a prompt.

    Run again, it goes on where it stopped, and changes nothing that is as it should be.
    """
    options = Options(
        branch=branch,
        path=path,
        auth=None if token_auth is None else "token" if token_auth else "deployKey",
        private=private,
        personal=personal,
        owner=owner,
        repository=repository,
        hostname=hostname,
        ssh_hostname=ssh_hostname,
        read_write_key=read_write_key,
        authorities=_read(ca_file),
        known_hosts=_read(known_hosts),
        appendix=appendix,
        webhook=webhook,
        webhook_url=webhook_url,
        timeout=timeout,
        dry_run=dry_run,
    )
    settings: Context = context.obj
    request, place = requests.for_github(settings.platform(), options)
    chosen = _target(settings, kubeconfig, kube_context, repository_only=repository_only)
    token = _secret("GITHUB_TOKEN", "GitHub token")
    _run(chosen, options, lambda desk: on_github.bootstrap(desk, request, place, token))


@bootstrap.command()
def git(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="https:// or ssh://. Default: as in nerv.yaml.")] = None,
    username: Annotated[str, typer.Option(help="Who logs in over https.")] = "git",
    private_key_file: Annotated[
        Path | None,
        typer.Option(help="SSH key that may push; Flux uses it too.", exists=True, dir_okay=False),
    ] = None,
    branch: _Branch = None,
    path: _FolderPath = None,
    ca_file: _CaFile = None,
    known_hosts: _KnownHosts = None,
    appendix: _Appendix = "",
    timeout: _Timeout = requests.DEFAULT_TIMEOUT,
    repository_only: _RepositoryOnly = False,
    dry_run: _DryRun = False,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Use any Git server, on which the repository is there. Over https the password (or token) comes from GIT_PASSWORD,
    standard input or a prompt; over ssh your own set-up pushes, and Flux gets a key of its own.

    Run again, it goes on where it stopped, and changes nothing that is as it should be.
    """
    options = Options(
        branch=branch,
        path=path,
        url=url,
        authorities=_read(ca_file),
        known_hosts=_read(known_hosts),
        private_key=_read(private_key_file),
        appendix=appendix,
        timeout=timeout,
        dry_run=dry_run,
    )
    settings: Context = context.obj
    request = requests.for_server(settings.platform(), options)
    chosen = _target(settings, kubeconfig, kube_context, repository_only=repository_only)
    password = _secret("GIT_PASSWORD", f"password of {username}") if request.auth == "token" else ""
    _run(chosen, options, lambda desk: server.bootstrap(desk, request, username, password))


def _target(settings: Context, kubeconfig: Path | None, context: str | None, *, repository_only: bool) -> Target | None:
    """The cluster; None for the repository alone. Raises NervError."""
    if repository_only:
        return None
    try:
        return target.choose(kubeconfig, context, settings.directory)
    except NervError as error:
        raise NervError(error.message, f"{error.hint}; --repository-only touches no cluster") from None


def _run(chosen: Target | None, options: Options, work: Callable[[Desk], Awaitable[object]]) -> None:
    talk = output.talk()
    journal = Journal(lambda line: talk.print(f"► {line}", markup=False, soft_wrap=True), options.dry_run)
    begun = time.monotonic()
    asyncio.run(_with_cluster(chosen, journal, work))
    seconds = f"{time.monotonic() - begun:.0f} s"
    if options.dry_run:
        said = f"dry run: {len(journal.changes)} changes, none made"
    elif journal.changes:
        said = f"done in {seconds}, {len(journal.changes)} changes"
    else:
        said = f"nothing to do: everything was as it should be ({seconds})"
    talk.print(said, markup=False)


async def _with_cluster(chosen: Target | None, journal: Journal, work: Callable[[Desk], Awaitable[object]]) -> None:
    async with AsyncExitStack() as stack:
        client = None
        if chosen is not None and chosen.mirrored:
            journal.say("the platform that runs here reads its folder itself, so its cluster needs nothing")
        elif chosen is not None:
            client = await stack.enter_async_context(session.connect(chosen))
        await work(Desk(journal, _confirm, client))


def _confirm(question: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def _read(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise NervError(f"{path} cannot be read: {error}") from None


def _secret(variable: str, what: str) -> str:
    """From the environment, else a prompt, else a line of standard input: never from the arguments."""
    given = os.environ.get(variable, "")
    if not given and sys.stdin.isatty():
        given = typer.prompt(what, hide_input=True, err=True)
    elif not given:
        given = sys.stdin.readline()
    if not given.strip():
        raise NervError(f"no {what} is given", f"set {variable}, or write it to standard input")
    return given.strip()
