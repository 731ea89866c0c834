"""`nerv console`: the web console as a program. In its pod it finds the API by the in-cluster configuration."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from nerv import logs
from nerv.cli.context import Context
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.tls import TlsTransport


def console(
    context: typer.Context,
    listen: Annotated[str, typer.Option(help="ADDRESS:PORT to serve on.")] = "127.0.0.1:8000",
    kubeconfig: Annotated[
        Path | None, typer.Option(help="A cluster's kubeconfig; without it the in-cluster configuration.")
    ] = None,
    credentials: Annotated[Path | None, typer.Option(help="htpasswd file (bcrypt) of those who may log in.")] = None,
    no_login: Annotated[bool, typer.Option("--no-login", help="Serve without a login; loopback only.")] = False,
) -> None:
    """Serve the web console until it is stopped."""
    settings: Context = context.obj
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise NervError(f"--listen {listen} is no ADDRESS:PORT", "for example 127.0.0.1:8000")
    if credentials is None and not (no_login and host in ("127.0.0.1", "localhost", "[::1]")):
        raise NervError("the console asks for a login", "give --credentials FILE, or --no-login on loopback")
    logs.set_up(debug=settings.debug)
    asyncio.run(_serve(kubeconfig, host, int(port), credentials))


async def _serve(kubeconfig: Path | None, host: str, port: int, credentials: Path | None) -> None:
    from nerv.console import server  # imports the web framework, which no other verb needs

    transport = TlsTransport.from_kubeconfig(kubeconfig) if kubeconfig else TlsTransport.in_cluster()
    client = Client(transport, user_agent="nerv-console")
    try:
        await server.serve(client, host, port, credentials)
    finally:
        await client.close()
