"""The webhook that tells Flux of pushes: made of the Receiver's token, and verified by a ping of the host."""

from __future__ import annotations

from nerv.deploy.hosting.hosted import Place
from nerv.operations.hosting.request import Request
from nerv.operations.hosting.steps import Desk


def wanted(request: Request) -> bool:
    """Whether the platform has a Receiver and the command does not leave it out."""
    return False


async def install(desk: Desk, request: Request, place: Place) -> None:
    """Add it and let GitHub try it. A webhook that does not arrive is told, not refused: Flux looks by itself too."""
