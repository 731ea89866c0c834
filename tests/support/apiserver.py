"""A real API server for tests: its own database under `tmp_path`, no socket unless asked for.

Use, in any test module:

    from tests.support.apiserver import running

    async def test_something(tmp_path):
        async with running(tmp_path) as server:
            client = server.direct(ADMIN)
            await client.create(CONFIG_MAPS, {...})

With `running(tmp_path, serving=serving())` it listens on 127.0.0.1 (`server.url`), and
`kubeconfig(server, tmp_path)` is a file for kubectl. Or use the fixtures `apiserver` and `client` of
`tests/conftest.py` (the client speaks as system:admin). Every server has the namespaces default, kube-system,
kube-public and kube-node-lease.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from nerv import certificates, documents
from nerv.apiserver.server import ApiServer, Config
from nerv.certificates import KeyPair


@cache
def authority() -> KeyPair:
    """One certificate authority for the whole test run."""
    return certificates.create_ca("test-ca")


@cache
def service_account_key() -> str:
    """Signs tokens in the whole test run."""
    return certificates.private_key_pem(ec.generate_private_key(ec.SECP256R1()))


def config(folder: Path, **changes: Any) -> Config:
    """A configuration with its database in `folder`; it does not listen unless `serving` is given."""
    defaults: dict[str, Any] = {
        "database": folder / "cluster.db",
        "service_account_key": service_account_key(),
        "ca_pem": authority().certificate,
    }
    return Config(**{**defaults, **changes})


@cache
def serving() -> KeyPair:
    """The certificate of a listening server."""
    return certificates.issue(authority(), "kube-apiserver", names=["127.0.0.1", "localhost"])


def kubeconfig(
    server: ApiServer, folder: Path, name: str = "admin", groups: tuple[str, ...] = ("system:masters",)
) -> Path:
    """A kubeconfig of a user with a client certificate, for a server that listens."""
    user = certificates.issue(authority(), name, organizations=groups, client=True, server=False)

    def data(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server.url, "certificate-authority-data": data(authority().certificate)},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": data(user.certificate), "client-key-data": data(user.key)},
            }
        ],
    }
    path = folder / f"{name}.kubeconfig"
    path.write_text(documents.dump(content))
    return path


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncIterator[ApiServer]:
    """An API server that is stopped at the end. `changes` replace fields of its configuration."""
    server = ApiServer(config(folder, **changes))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
