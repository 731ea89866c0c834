"""The step that brings the console's image to a machine, which has no registry to ask (docs/decisions/0007)."""

from __future__ import annotations

import platform as host
from functools import partial
from pathlib import Path

from nerv.deploy.steps import Step
from nerv.operations import console_image
from nerv.operations.deployment import Deploy
from nerv.operations.folder import PlatformFolder, private_folder, write_private
from nerv.platform.versions import NERV_IMAGE

ARCHIVE = "nerv-console.tar.gz"
# K3s imports what lies there whenever it starts.
_TARGET = f"/var/lib/rancher/k3s/agent/images/{ARCHIVE}"
# What the machine has; beside the archives K3s would take it for one.
_MARK = "/var/lib/nerv/console-image"
_SECONDS = 900.0


def steps(deploy: Deploy) -> tuple[Step, ...]:
    """None where the machine gets the image from a registry, or cannot run what is made here."""
    return (_step(deploy),) if _wanted(deploy) else ()


def _wanted(deploy: Deploy) -> bool:
    spec = deploy.platform.spec
    console = spec.components.console
    # the pod is bound to machines of the first server's architecture
    runs = deploy.node.architecture == spec.servers[0].architecture == host.machine()
    return console.enabled and console.image == NERV_IMAGE and runs and console_image.is_checkout()


def _step(deploy: Deploy) -> Step:
    archive = f"{deploy.folder.state.name}/images/{ARCHIVE}"
    login = f"{deploy.pasted_ssh} {deploy.new_target.login}"
    return Step(
        "image",
        "bring the image of NERV's console, made out of this checkout",
        (
            f"nerv image {archive}",
            f"{login} 'mkdir -p {Path(_TARGET).parent} && cat > {_TARGET}' < {archive}",
            f"{login} k3s ctr images import {_TARGET}",
        ),
        partial(_run, deploy),
        partial(_is_there, deploy),
    )


async def _is_there(deploy: Deploy) -> bool:
    async with deploy.new_system() as remote:
        found = await remote.run(f"cat {_MARK} 2>/dev/null", check=False)
    return found.stdout.strip() == console_image.sources()


async def _run(deploy: Deploy) -> None:
    archive = await made(deploy.folder)
    async with deploy.new_system() as remote:
        await remote.put(archive, _TARGET, timeout=_SECONDS)
        await remote.run(f"k3s ctr images import {_TARGET}", timeout=_SECONDS)
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
