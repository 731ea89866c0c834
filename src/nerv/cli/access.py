"""`nerv open`, `nerv hosts`, `nerv trust`: reach the dashboards by name, with certificates that verify."""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nerv import process
from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.target import Kubeconfig, KubeContext, chosen
from nerv.errors import NervError
from nerv.operations import access, keys


def open_dashboard(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="traefik, longhorn, flux, ...")],
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Open a dashboard in a browser profile that resolves its name and trusts its certificate; needs no root."""
    reach = asyncio.run(access.reach(chosen(context, kubeconfig, kube_context)))
    dashboard = next((each for each in reach.served if each.dashboard.name == name), None)
    if dashboard is None:
        known = ", ".join(each.dashboard.name for each in reach.served)
        raise NervError(f"there is no dashboard {name!r}", f"there are {known}")
    talk = output.talk()
    password = keys.credentials_file(reach.name)
    talk.print(f"{dashboard.dashboard.url}  user admin, password in {password}", soft_wrap=True)
    authority = access.read_ca(reach.ca_file)
    pins = [access.served_pin(each, authority) for each in reach.served]
    command = access.browser_command(reach.profile, dashboard, reach.served, pins)
    if command and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        asyncio.run(_browse(command))
        return
    why = "no Chromium, Chrome, Brave or Edge is installed" if command is None else "there is no display here"
    talk.print(f"{why}; without a browser profile:", soft_wrap=True)
    talk.print(f"  {access.curl_line(reach.ca_file, dashboard)}", soft_wrap=True)
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
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Print the lines for /etc/hosts that make the dashboards' names known, or write them."""
    cluster = _Cluster.of(context, kubeconfig, kube_context)
    block = ""
    text = access.without_block(access.HOSTS.read_text(encoding="utf-8"), cluster.label)
    if not undo:
        reach = asyncio.run(access.reach(chosen(context, kubeconfig, kube_context)))
        block = access.hosts_block(cluster.label, reach.served)
        text = text.rstrip("\n") + "\n" + block
    if apply:
        access.write_hosts(text)
        output.talk().print(
            f"{access.HOSTS} {'no longer names' if undo else 'names'} the dashboards of {cluster.label}"
        )
    elif undo:
        print(cluster.sudo("hosts --apply --undo"))
    else:
        print(block, end="")
        print(f"# write them: {cluster.sudo('hosts --apply')}")


def trust(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Change the system's trust store (needs root).")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the authority out again.")] = False,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Print the command that makes this machine trust the dashboards' certificate authority, or run it."""
    cluster = _Cluster.of(context, kubeconfig, kube_context)
    certificate = access.TRUST_FOLDER / f"nerv-{cluster.label}.crt"
    if undo and not apply:
        print(cluster.sudo("trust --apply --undo"))
        return
    authority = None if undo else asyncio.run(access.reach(chosen(context, kubeconfig, kube_context))).ca_file
    if not apply:
        print(cluster.sudo("trust --apply"))
        print(f"# the authority: {authority}")
        return
    _change_trust(certificate, access.read_ca(authority) if authority else None)
    process.run_sync(["update-ca-certificates"])
    output.talk().print(f"this machine {'no longer trusts' if undo else 'trusts'} the authority of {cluster.label}")


@dataclass(frozen=True)
class _Cluster:
    """How a cluster is marked on this machine, and the options that mean it again under sudo. It may be down."""

    label: str
    before: str
    behind: str

    @classmethod
    def of(cls, context: typer.Context, kubeconfig: Path | None, kube_context: str | None) -> _Cluster:
        if kubeconfig or kube_context:
            target = chosen(context, kubeconfig, kube_context)
            behind = f" --kubeconfig {shlex.quote(str(target.kubeconfig.resolve()))}"
            return cls(target.label, "", behind + (f" --context {shlex.quote(kube_context)}" if kube_context else ""))
        settings: Context = context.obj
        root = settings.platform().root
        return cls(root.name, f"-C {shlex.quote(str(root))} ", "")

    def sudo(self, verb: str) -> str:
        """The command line that does it as root."""
        program = shlex.quote(os.environ.get("NERV_LAUNCHER", "nerv"))
        return f"sudo {program} {self.before}{verb}{self.behind}"


def _change_trust(path: Path, certificate: str | None) -> None:
    try:
        if certificate is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(certificate, encoding="utf-8")
    except OSError as error:
        raise NervError(f"{path} cannot be changed: {error.strerror}", "run the same command with sudo") from None
