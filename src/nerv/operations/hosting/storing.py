"""The platform's own copy of Flux's login, encrypted in nixos/secrets: machines bootstrap themselves with it."""

from __future__ import annotations

from collections.abc import Mapping

from nerv.deploy.hosting.journal import Journal
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import Request


def stored(request: Request) -> Mapping[str, str]:
    """What the platform keeps; empty where it keeps none."""
    return {}


async def store(journal: Journal, request: Request, login: Login) -> None:
    """Keep it, and commit that file alone."""
