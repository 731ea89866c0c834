"""The console as a program: pages and their session on one address, until it is stopped."""

from __future__ import annotations

import gc
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import ui

from nerv.console import login, pages
from nerv.console.state import ConsoleState
from nerv.kube.client import Client


async def serve(client: Client, host: str, port: int, credentials: Path | None) -> None:
    """Serve until SIGTERM. `credentials` is an htpasswd file; None leaves the login out.

    Raises NervError for unreadable credentials or an address that is taken.
    """
    state = ConsoleState(client)
    pages.register(state)
    app = FastAPI(openapi_url=None)
    ui.run_with(app, title="NERV", favicon="⬡", show_welcome_message=False)
    served = login.Login(app, login.read_htpasswd(credentials)) if credentials else app
    config = uvicorn.Config(served, host=host, port=port, log_level="warning", access_log=False, proxy_headers=True)
    gc.freeze()
    try:
        await uvicorn.Server(config).serve()
    finally:
        await state.stop()
