"""The step that brings the console's image to a machine, which has no registry to ask (docs/decisions/0007)."""

from __future__ import annotations

import platform as host
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nerv.components.catalog import Platform
from nerv.deploy.ssh import Remote
from nerv.deploy.steps import Step
from nerv.operations import console_image
from nerv.operations.folder import PlatformFolder, private_folder, write_private
from nerv.platform.models import Node
from nerv.platform.versions import NERV_IMAGE

ARCHIVE = "nerv-console.tar.gz"
# K3s imports what lies there whenever it starts.
_TARGET = f"/var/lib/rancher/k3s/agent/images/{ARCHIVE}"
# What the machine has; beside the archives K3s would take it for one.
_MARK = "/var/lib/nerv/console-image"
# K3s unpacks archives itself, containerd's own client takes plain ones.
_IMPORT = f"gzip --decompress --stdout {_TARGET} | k3s ctr images import -"
_SECONDS = 900.0


@dataclass(frozen=True)
class Machine:
    """A machine that may need the image."""

    folder: PlatformFolder
    platform: Platform
    node: Node
    ssh: str
    """How a command is run there, to paste into a shell in the platform's folder."""
    remote: Callable[[], Remote]


def steps(machine: Machine) -> tuple[Step, ...]:
    """None where the machine gets the image from a registry, or cannot run what is made here."""
    return (_step(machine),) if _wanted(machine) else ()


def _wanted(machine: Machine) -> bool:
    spec = machine.platform.spec
    console = spec.components.console
    # the pod is bound to machines of the first server's architecture
    runs = machine.node.architecture == spec.servers[0].architecture == host.machine()
    return console.enabled and console.image == NERV_IMAGE and runs and console_image.is_checkout()


def _step(machine: Machine) -> Step:
    archive = f"{machine.folder.state.name}/images/{ARCHIVE}"
    return Step(
        "image",
        "bring the image of NERV's console, made out of this checkout",
        (
            f"nerv image {archive}",
            f"{machine.ssh} 'mkdir -p {Path(_TARGET).parent} && cat > {_TARGET}' < {archive}",
            f"{machine.ssh} '{_IMPORT}'",
        ),
        partial(_run, machine),
        partial(_is_there, machine),
    )


async def _is_there(machine: Machine) -> bool:
    async with machine.remote() as remote:
        found = await remote.run(f"cat {_MARK} 2>/dev/null", check=False)
    return found.stdout.strip() == console_image.sources()


async def _run(machine: Machine) -> None:
    archive = await made(machine.folder)
    async with machine.remote() as remote:
        await remote.put(archive, _TARGET, timeout=_SECONDS)
        await remote.run(_IMPORT, timeout=_SECONDS)
        await remote.run(f"mkdir -p {Path(_MARK).parent} && cat > {_MARK}", input=f"{console_image.sources()}\n")


async def made(folder: PlatformFolder) -> Path:
    """The archive; built once for as long as the checkout stays as it is."""
    kept = private_folder(folder.state / "images")
    archive, mark = kept / ARCHIVE, kept / f"{ARCHIVE}.sources"
    wanted = console_image.sources()
    if not archive.exists() or not mark.exists() or mark.read_text(encoding="utf-8").strip() != wanted:
        mark.unlink(missing_ok=True)
        await console_image.build(archive)
        write_private(mark, f"{wanted}\n")
    return archive
