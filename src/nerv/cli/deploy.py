"""`nerv deploy`: nodes of the definition onto real machines, step by step; later deploys with --update."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.deploy.preflight import Finding
from nerv.deploy.ssh import Access, Target
from nerv.deploy.steps import Step, perform, script
from nerv.deploy.trust import HostKey, Word
from nerv.errors import NervError
from nerv.operations import deploying, kubeconfigs, readiness, session, updating
from nerv.operations.deployment import Deploy, Options, made_key
from nerv.operations.folder import PlatformFolder
from nerv.operations.status import Status
from nerv.operations.updating import Update, UpdateOptions
from nerv.platform.models import Node


def deploy(
    context: typer.Context,
    nodes: Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="Nodes of the definition.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every node, servers first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every step, ready to paste; do nothing.")] = False,
    start: Annotated[str, typer.Option("--from", metavar="STEP", help="Do this step and all after it again.")] = "",
    target_host: Annotated[
        str, typer.Option(metavar="[USER@]HOST[:PORT]", help="Where the machine answers now; default: its address.")
    ] = "",
    accept_host_key: Annotated[
        list[str] | None, typer.Option(metavar="SHA256:...", help="Fingerprint that the machine's console shows.")
    ] = None,
    identity: Annotated[Path | None, typer.Option("--identity", "-i", help="Private SSH key to log in with.")] = None,
    env_password: Annotated[bool, typer.Option("--env-password", help="Log in with the password in $SSHPASS.")] = False,
    build_on: Annotated[str, typer.Option(help="Build the system: auto, local, or remote (on the machine).")] = "auto",
    nixos_anywhere: Annotated[
        str, typer.Option(metavar="ARGUMENTS", help="Further arguments for nixos-anywhere, in one word.")
    ] = "",
    patience: Annotated[float, typer.Option(min=0.1, help="Stretches every time limit.")] = 1.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Erase the disks without asking.")] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Bring running nodes to what is committed, one at a time, or roll back.")
    ] = False,
    reboot: Annotated[bool, typer.Option("--reboot", help="With --update: start the machine anew.")] = False,
    rollback_after: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="With --update: a machine lost for so long goes back.")
    ] = updating.ROLLBACK_SECONDS,
    force: Annotated[
        bool, typer.Option("--force", help="With --update: also an unhealthy cluster, and pods without a controller.")
    ] = False,
) -> None:
    """Install NixOS on machines over SSH, join them to the cluster, and wait until everything is healthy.

    Whatever interrupts it, the same command goes on where it stopped.
    """
    settings: Context = context.obj
    folder = settings.platform()
    platform = definition.load(folder.definition)
    meant = deploying.chosen(platform, nodes or [], everything)
    if update:
        updates = [
            Update(
                folder=folder,
                platform=platform,
                node=node,
                key=made_key(folder, platform, node.name),
                options=UpdateOptions(
                    access=Access(identity),
                    build_on=deploying.build_place(node, build_on),
                    patience=patience,
                    rollback_seconds=rollback_after,
                    reboot=reboot,
                    force=force,
                ),
                say=_say,
            )
            for node in meant
        ]
        _update(updates, dry_run=dry_run)
        return
    if target_host and len(meant) > 1:
        raise NervError("--target-host names one machine", "deploy the nodes one by one")
    if build_on not in ("auto", "local", "remote"):
        raise NervError(f"--build-on {build_on}", "auto, local or remote")
    made = [
        Deploy(
            folder=folder,
            platform=platform,
            node=node,
            target=Target.parse(target_host) if target_host else Target(str(node.address)),
            record=deploying.load_record(folder, node.name),
            options=Options(
                word=Word(tuple(accept_host_key or ()), Path.home() / ".ssh" / "known_hosts", _asking()),
                access=Access(identity, _password(env_password)),
                build_on=deploying.build_place(node, build_on),
                more=tuple(shlex.split(nixos_anywhere)),
                patience=patience,
                confirm=_confirming(node, yes),
            ),
            say=_say,
            remote_checks=_token_check(folder, platform),
        )
        for node in meant
    ]
    ordered = deploying.ordered(made, start)
    if dry_run:
        for one, steps in ordered:
            sys.stdout.write(script(_title(one), steps))
        return
    asyncio.run(_deploy(ordered, start))
    _urls(asyncio.run(session.status(kubeconfigs.require(platform.name))))


async def _deploy(ordered: Sequence[tuple[Deploy, Sequence[Step]]], start: str) -> None:
    for one, steps in ordered:
        deploying.with_target(one.record, one.target)
        try:
            await perform(steps, one.record, one.say, start=steps[0].name if start else "")
        except NervError:
            if one.log.exists():
                _say(f"everything that was said is in {one.log}")
            raise


def _update(updates: list[Update], *, dry_run: bool) -> None:
    if dry_run:
        for one in updates:
            sys.stdout.write(script(f"{one.node.name} on {one.target}: update", updating.steps(one)))
        return
    asyncio.run(_run_updates(updates))


async def _run_updates(updates: list[Update]) -> None:
    """One at a time; the first that fails ends it."""
    platform, folder = updates[0].platform, updates[0].folder
    await readiness.check_committed(folder)
    await updating.check_versions(platform, [one.node.name for one in updates])
    for position, one in enumerate(updates):
        try:
            await updating.run(one)
        except NervError as error:
            left = ", ".join(later.node.name for later in updates[position + 1 :])
            raise NervError(error.message + (f"; not updated: {left}" if left else ""), error.hint) from error
        _say(f"{one.node.name} is updated")


def _title(one: Deploy) -> str:
    return f"{one.node.name} ({one.node.role}) on {one.target}"


def _say(line: str) -> None:
    output.talk().print(line, soft_wrap=True, markup=False)


def _password(wanted: bool) -> str:
    if not wanted:
        return ""
    found = os.environ.get("SSHPASS", "")
    if not found:
        raise NervError("--env-password: the variable SSHPASS is empty", "read -rs SSHPASS; export SSHPASS")
    return found


def _token_check(folder: PlatformFolder, platform: Platform) -> Callable[[], Awaitable[list[Finding]]] | None:
    """GitHub is asked only where a token is at hand: Flux's own login is in nixos/secrets."""
    given = os.environ.get("GITHUB_TOKEN", "")
    if not given or platform.spec.repository.provider != "github":
        return None
    return partial(readiness.token, folder, given)


def _asking() -> Callable[[str, HostKey], bool] | None:
    return _ask_key if sys.stdin.isatty() else None


def _ask_key(place: str, key: HostKey) -> bool:
    _say(f"The host key of {place} is {key}.")
    _say("Compare it with what the machine's own console shows: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    return typer.confirm("Is it the same?", default=False, err=True)


def _confirming(node: Node, yes: bool) -> Callable[[str], bool]:
    def confirm(text: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        _say(text)
        return bool(typer.prompt(f"Type {node.name} to go on", default="", show_default=False, err=True) == node.name)

    return confirm


def _urls(status: Status) -> None:
    for dashboard in status.dashboards:
        print(dashboard.url)
