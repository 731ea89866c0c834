"""`nerv node add|remove|reset`: nodes that come, go, and begin anew."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.components import definition
from nerv.deploy.ssh import Access
from nerv.deploy.steps import script
from nerv.errors import NervError
from nerv.operations import deploying, nodes
from nerv.operations.nodes import NodeOptions

app = typer.Typer(help="Nodes that come, go, and begin anew.", no_args_is_help=True)

_DRY_RUN = typer.Option("--dry-run", help="Print every step, ready to paste; do nothing.")
_IDENTITY = typer.Option("--identity", "-i", help="Private SSH key to log in with.")
_FORCE = typer.Option("--force", help="Also pods without a controller, which nobody makes again.")
_YES = typer.Option("--yes", "-y", help="Do not ask.")


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Host name, unique in the platform.")],
    address: Annotated[str, typer.Option(help="IPv4 address in the nodes' network.")],
    role: Annotated[str, typer.Option(help="agent runs pods, server the control plane too.")] = "agent",
    disk: Annotated[list[str] | None, typer.Option(help="System disk; a second one is for storage.")] = None,
    mac: Annotated[str, typer.Option(help="MAC address of its network card.")] = "",
    architecture: Annotated[str, typer.Option(help="x86_64 or aarch64.")] = "",
    firmware: Annotated[str, typer.Option(help="uefi or bios.")] = "",
) -> None:
    """Put a node into nerv.yaml, make its host key, and render everything that knows of it."""
    settings: Context = context.obj
    entry: dict[str, Any] = {"name": name, "role": role, "address": address}
    given = {"mac": mac, "architecture": architecture, "firmware": firmware}
    entry |= {key: value for key, value in given.items() if value}
    purposes = ["system", *["storage"] * max(len(disk or []) - 1, 0)]
    if disk:
        entry["disks"] = [{"device": one, "purpose": use} for one, use in zip(disk, purposes, strict=True)]
    for path in asyncio.run(nodes.add(settings.platform(), entry)):
        print(f"wrote {path}")
    _say("commit and push; servers that run learn of it with `nerv deploy --update --all`")
    _say(f"then `nerv deploy {name}` installs it and joins it")


@app.command()
def remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NODE...", help="Nodes that leave.")],
    identity: Annotated[Path | None, _IDENTITY] = None,
    dry_run: Annotated[bool, _DRY_RUN] = False,
    lost: Annotated[bool, typer.Option("--lost", help="The machine is gone: neither drained nor stopped.")] = False,
    force: Annotated[bool, _FORCE] = False,
    yes: Annotated[bool, _YES] = False,
) -> None:
    """Drain nodes, take them out of etcd and the cluster, stop K3s; then out of nerv.yaml and of who reads secrets."""
    settings: Context = context.obj
    folder = settings.platform()
    platform = definition.load(folder.definition)
    leaving = deploying.chosen(platform, names, False)
    nodes.check_definition_without(folder, names)
    options = NodeOptions(access=Access(identity), force=force, lost=lost)
    if dry_run:
        for node in leaving:
            sys.stdout.write(script(f"{node.name} leaves", nodes.removal(folder, platform, node, options, _say)))
        return
    _confirm(f"{', '.join(names)} will leave the cluster", yes)
    asyncio.run(nodes.check_leaving(platform, names))
    for node in leaving:
        asyncio.run(nodes.perform_all(nodes.removal(folder, platform, node, options, _say), _prefixed(node.name)))
    for path in asyncio.run(nodes.forget(folder, names)):
        print(f"wrote {path}")
    _say("what stays to do:")
    _say("  commit and push: the machines can read no new secrets from then on")
    _say("  `nerv secrets rotate` what they have read, k3s-token first: they know the old values")
    _say("  switch the machines off, or install them anew: after a restart their K3s would go on trying to join")


@app.command()
def reset(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The node that begins anew.")],
    identity: Annotated[Path | None, _IDENTITY] = None,
    dry_run: Annotated[bool, _DRY_RUN] = False,
    force: Annotated[bool, _FORCE] = False,
    yes: Annotated[bool, _YES] = False,
) -> None:
    """Take a node out, wipe what K3s keeps there (etcd, certificates, images), and join it again."""
    settings: Context = context.obj
    folder = settings.platform()
    platform = definition.load(folder.definition)
    (node,) = deploying.chosen(platform, [name], False)
    nodes.check_reset(platform, node)
    options = NodeOptions(access=Access(identity), force=force)
    steps = nodes.resetting(folder, platform, node, options, _say)
    if dry_run:
        sys.stdout.write(script(f"{name} begins anew", steps))
        return
    _confirm(f"K3s' state on {name} will be wiped", yes)
    asyncio.run(nodes.check_leaving(platform, [name]))
    asyncio.run(nodes.perform_all(steps, _prefixed(name)))
    _say(f"{name} has joined again; `kubectl uncordon {name}` where it is still cordoned")


def _say(line: str) -> None:
    output.talk().print(line, soft_wrap=True, markup=False)


def _prefixed(name: str) -> Any:
    return lambda line: _say(f"{name}: {line}")


def _confirm(text: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty() or not typer.confirm(f"{text}. Go on?", default=False, err=True):
        raise NervError("nothing was done", "confirm, or add --yes")
