"""`nerv image`: the console's container image as an archive, for clusters that cannot pull it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from nerv.operations import console_image


def image(
    file: Annotated[Path, typer.Argument(help="Archive to write (.tar.gz).")] = Path("nerv-console.tar.gz"),
) -> None:
    """Make the console's container image out of this checkout, without a container runtime.

    `nerv deploy` brings it to machines by itself. By hand: copy it to /var/lib/rancher/k3s/agent/images/ and restart
    K3s, or import it with `docker load`, `podman load` or `ctr images import` and push it to a registry of yours.
    """
    made = asyncio.run(console_image.build(file))
    typer.echo(f"wrote {made.path}: {made.name} for {made.architecture}, {made.path.stat().st_size / 1e6:.0f} MB")
