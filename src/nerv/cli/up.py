"""`nerv up`: bring a platform up on this machine and stay, or leave it running in the background."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from nerv import logs, process
from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.engine import make as make_engine
from nerv.cli.live import LiveView
from nerv.errors import NervError
from nerv.operations import access, collect, engines, keys, memory, scaffold, session, target
from nerv.operations import folder as folders
from nerv.operations.cluster import Cluster, Options
from nerv.operations.folder import PlatformFolder
from nerv.operations.status import Status

_REDRAW_SECONDS = 0.15
_LOOK_SECONDS = 0.1
_DETACHED_PATIENCE = 300.0


def up(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="The platform's folder; made when it is missing. Default: as -C.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it running in the background.")] = False,
    offline: Annotated[bool, typer.Option(help="Refuse every connection out of the cluster.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="embedded or upstream. Default: as it ran last; embedded at first.")
    ] = None,
    bare: Annotated[
        bool,
        typer.Option("--bare", help="Start an empty cluster, which `nerv bootstrap` fills from a Git server."),
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(help="Driver: namespaces, proxy or auto (namespaces where allowed). Default: as last time, auto."),
    ] = None,
) -> None:
    """Bring the platform up on this machine, from its repository, and show it coming up."""
    settings: Context = context.obj
    if sys.platform != "linux":
        raise NervError(
            "`nerv up` needs Linux's namespaces", "everything else works here: init, render, check; deploy to a machine"
        )
    platform = _platform(settings, folder)
    options = Options(offline, engine, bare, network)
    if engine == engines.UPSTREAM and not offline and not engines.is_built(engine):
        output.talk().print("the upstream engine is not built yet; this is done once")
        make_engine(engine)
    if detach:
        _detach(platform, options, debug=settings.debug)
    else:
        logs.set_up(debug=settings.debug, file=platform.log)
        memory.tune()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_stay(platform, options))


def _platform(settings: Context, folder: Path | None) -> PlatformFolder:
    """The platform meant; a folder that is named and missing is made."""
    if folder is None:
        return settings.platform()
    if not (folder / folders.DEFINITION).exists():
        asyncio.run(scaffold.create(folder, say=output.talk().print))
    return folders.find(folder)


async def _stay(platform: PlatformFolder, options: Options) -> None:
    """Run until SIGINT (exit code 130) or SIGTERM."""
    stop = asyncio.Event()
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    begun = time.monotonic()
    async with Cluster.prepare(platform, options) as cluster:
        with LiveView(output.talk()) as view:
            tasks: set[asyncio.Task[object]] = {
                asyncio.create_task(_show(cluster, view, begun)),
                asyncio.create_task(stop.wait()),
                asyncio.create_task(cluster.run()),
            }
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()  # a refusal or a defect ends the command with its message
            view.say("stopping ...")
    if received[:1] == [signal.SIGINT]:
        raise KeyboardInterrupt


async def _show(cluster: Cluster, view: LiveView, begun: float) -> None:
    """Draw every change; say once how to reach the platform when it is healthy."""
    greeted, said = "", False
    while True:
        with contextlib.suppress(TimeoutError):
            # until it is healthy some of what counts (idle controllers) changes without an event
            await asyncio.wait_for(cluster.changed(), None if greeted == "healthy" else _LOOK_SECONDS)
        if not cluster.started:
            continue
        status = cluster.status()
        for line in () if said else status.network[:1]:
            view.say(f"network {line} (`nerv status` says what it cannot do)")
        said = True
        seconds = time.monotonic() - begun
        state = "healthy" if status.healthy else "empty" if cluster.bare and status.awaits_bootstrap else ""
        if state and state != greeted and not await cluster.ready():
            state = ""
        view.show(status, seconds, f"{state}, Ctrl-C stops it" if state else cluster.note)
        if state and state != greeted:
            greeted = state
            empty = state == "empty"
            for line in invitation(cluster.folder) if empty else greeting(cluster.folder, status, seconds):
                view.say(line)
            cluster.trim()
        await asyncio.sleep(_REDRAW_SECONDS)


def invitation(folder: PlatformFolder) -> list[str]:
    """What a user needs for an empty cluster."""
    return [
        "an empty cluster is up; put the platform on a Git server and let Flux reconcile it from there with",
        f"  nerv -C {folder.root} bootstrap github     (or git: any server)",
        f"  export KUBECONFIG={folder.kubeconfig}",
        "",
    ]


def greeting(folder: PlatformFolder, status: Status, seconds: float) -> list[str]:
    """What a user needs once everything is ready."""
    lines = [f"{status.name} is healthy after {seconds:.1f} s", ""]
    lines += [f"  {dashboard.url}" for dashboard in status.dashboards]
    lines += [f"  user admin, password in {keys.credentials_file(status.name)}", ""]
    found = access.served(status, collect.read_published(folder.published))
    lines += [
        f"  export KUBECONFIG={folder.kubeconfig}",
        f"  nerv open {found[0].dashboard.name}        a browser profile with names and trust in place, no root",
        "  nerv hosts, nerv trust   the sudo lines for any browser",
        f"  {access.curl_line(folder.ca_file, found[0])}",
        "",
    ]
    return lines


def _detach(platform: PlatformFolder, options: Options, *, debug: bool) -> None:
    """Start the same command in a session of its own and wait until it is healthy."""
    pid = folders.running_pid(platform)
    if pid is not None:
        raise NervError(f"{platform.root} runs already (pid {pid})", "`nerv status` shows it, `nerv down` stops it")
    folders.open_state(platform)
    folders.private_folder(platform.log.parent)
    talk_file = platform.log.parent / "up.log"
    talk_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "nerv", *(["--debug"] if debug else []), "-C", str(platform.root), "up"]
    command += ["--offline"] if options.offline else []
    command += ["--engine", options.engine] if options.engine else []
    command += ["--bare"] if options.bare else []
    command += ["--network", options.network] if options.network else []
    child = process.spawn_detached(command, talk_file)
    status = asyncio.run(_until_healthy(platform, child, talk_file))
    print(f"{status.name} runs in the background (pid {child}): `nerv status`, `nerv down`", file=sys.stderr)
    for dashboard in status.dashboards:
        print(dashboard.url)


async def _until_healthy(platform: PlatformFolder, pid: int, talk_file: Path) -> Status:
    deadline = time.monotonic() + _DETACHED_PATIENCE
    last = "the API server"
    while time.monotonic() < deadline:
        if not _alive(pid):
            said = talk_file.read_text(encoding="utf-8").strip().splitlines() or ["no output"]
            raise NervError(said[-1].removeprefix("nerv: "))
        try:
            status = await session.status(target.of_platform(platform))
        except NervError:
            await asyncio.sleep(0.1)
            continue
        fine = status.healthy or (platform.bare.exists() and status.awaits_bootstrap)
        if fine and platform.healthy_marker.exists():
            return status
        last = (status.waiting() or ("the dashboards to answer",))[0]
        await asyncio.sleep(0.2)
    raise NervError(
        f"not healthy after {_DETACHED_PATIENCE:.0f} s, it still waits for {last}", f"`nerv status`, log {platform.log}"
    )


def _alive(pid: int) -> bool:
    """Whether the child still runs; it is reaped here if it has ended."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return ended == 0
