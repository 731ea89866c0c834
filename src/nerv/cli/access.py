"""`nerv open`, `nerv hosts`, `nerv trust`: reach the dashboards by name, with certificates that verify."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from nerv import process
from nerv.cli import output
from nerv.cli.context import Context
from nerv.errors import NervError
from nerv.operations import access, collect, session
from nerv.operations.access import Target
from nerv.operations.folder import PlatformFolder


def open_dashboard(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="traefik, longhorn, flux, ...")],
) -> None:
    """Open a dashboard in a browser profile that resolves its name and trusts its certificate; needs no root."""
    settings: Context = context.obj
    folder = settings.platform()
    found = _targets(folder)
    target = next((t for t in found if t.dashboard.name == name), None)
    if target is None:
        known = ", ".join(t.dashboard.name for t in found)
        raise NervError(f"there is no dashboard {name!r}", f"there are {known}")
    talk = output.talk()
    talk.print(f"{target.dashboard.url}  user admin, password in {_credentials_hint(folder)}", soft_wrap=True)
    authority = access.read_ca(folder)
    pins = [access.served_pin(each, authority) for each in found]
    command = access.browser_command(folder, target, found, pins)
    if command and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        asyncio.run(_browse(command))
        return
    why = "no Chromium, Chrome, Brave or Edge is installed" if command is None else "there is no display here"
    talk.print(f"{why}; without a browser profile:", soft_wrap=True)
    talk.print(f"  {access.curl_line(folder, target)}", soft_wrap=True)
    talk.print(
        "  `nerv hosts --apply` and `nerv trust --apply` (with sudo) let any browser open the address", soft_wrap=True
    )


async def _browse(command: list[str]) -> None:
    browser = await process.start(command)
    await browser.wait()


def hosts(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Write /etc/hosts (needs root).")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the lines out again.")] = False,
) -> None:
    """Print the lines for /etc/hosts that make the dashboards' names known, or write them."""
    settings: Context = context.obj
    folder = settings.platform()
    name = folder.root.name
    text = access.without_block(access.HOSTS.read_text(encoding="utf-8"), name)
    if not undo:
        block = access.hosts_block(name, _targets(folder))
        text = text.rstrip("\n") + "\n" + block
    if apply:
        access.write_hosts(text)
        output.talk().print(f"{access.HOSTS} {'no longer names' if undo else 'names'} the dashboards of {name}")
    elif undo:
        print(_sudo(folder, "hosts --apply --undo"))
    else:
        print(block, end="")
        print(f"# write them: {_sudo(folder, 'hosts --apply')}")


def trust(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Change the system's trust store (needs root).")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the authority out again.")] = False,
) -> None:
    """Print the command that makes this machine trust the dashboards' certificate authority, or run it."""
    settings: Context = context.obj
    folder = settings.platform()
    target = access.TRUST_FOLDER / f"nerv-{folder.root.name}.crt"
    if not apply:
        option = " --undo" if undo else ""
        print(_sudo(folder, f"trust --apply{option}"))
        if not undo:
            print(f"# the authority: {folder.ca_file}")
        return
    _change_trust(target, None if undo else access.read_ca(folder))
    process.run_sync(["update-ca-certificates"])
    output.talk().print(f"this machine {'no longer trusts' if undo else 'trusts'} the authority of {folder.root.name}")


def _change_trust(target: Path, certificate: str | None) -> None:
    try:
        if certificate is None:
            target.unlink(missing_ok=True)
        else:
            target.write_text(certificate, encoding="utf-8")
    except OSError as error:
        raise NervError(f"{target} cannot be changed: {error.strerror}", "run the same command with sudo") from None


def _targets(folder: PlatformFolder) -> list[Target]:
    found = asyncio.run(session.status_of_platform(folder))
    return access.targets(found, collect.read_published(folder.published))


def _sudo(folder: PlatformFolder, verb: str) -> str:
    program = shlex.quote(os.environ.get("NERV_LAUNCHER", "nerv"))
    return f"sudo {program} -C {shlex.quote(str(folder.root))} {verb}"


def _credentials_hint(folder: PlatformFolder) -> str:
    from nerv.operations import keys

    return str(keys.folder_of(folder.root) / "credentials")
