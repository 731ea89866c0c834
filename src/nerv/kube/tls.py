"""How a client reaches an API server over the network: HTTPS with a client certificate or a bearer token.

client = Client(TlsTransport(Access.from_kubeconfig(path)))
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from nerv import documents
from nerv.errors import NervError
from nerv.http import tls
from nerv.kube import errors
from nerv.kube.client import RawResponse

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONNECT_SECONDS = 10.0
_IN_TIME = aiohttp.ClientTimeout(total=60.0, sock_connect=_CONNECT_SECONDS)
_ENDLESS = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
_CLOSE_SECONDS = 0.5
"""How long an exchange that nobody waits for any more may take to come to an end of its own."""


@dataclass(frozen=True)
class Access:
    """Where a server is and who speaks. `token_file` is read again at each request, because kubelets renew it."""

    server: str
    ca_pem: str | None = None
    certificate_pem: str | None = None
    key_pem: str | None = None
    token: str = ""
    token_file: Path | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path, context: str | None = None) -> Access:
        """Of the named context, or the current one. Raises NervError with the file's place."""
        try:
            config = documents.load(path.read_text()) or {}
        except OSError as error:
            raise NervError(f"{path}: {error.strerror}", "name a kubeconfig that exists") from None
        except (UnicodeDecodeError, documents.DocumentError) as error:
            raise NervError(f"{path} is no readable kubeconfig: {error}") from None
        if not isinstance(config, dict):
            raise NervError(f"{path} is no readable kubeconfig: it holds no mapping")
        chosen = context or config.get("current-context") or ""
        named = _named(config, "contexts", chosen, "context", path)
        cluster = _named(config, "clusters", named.get("cluster", ""), "cluster", path)
        user = _named(config, "users", named.get("user", ""), "user", path)
        folder = path.parent
        if "server" not in cluster:
            raise NervError(f"{path}: cluster {named.get('cluster')!r} has no server")
        _refuse_unsupported(path, cluster, user)
        return cls(
            cluster["server"],
            _pem(cluster, "certificate-authority", folder),
            _pem(user, "client-certificate", folder),
            _pem(user, "client-key", folder),
            user.get("token", ""),
            folder / user["tokenFile"] if user.get("tokenFile") else None,
        )

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str], folder: Path = _SERVICE_ACCOUNT) -> Access:
        """Of the pod this process runs in. Raises NervError when it runs in none."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not host or not port or not (folder / "token").exists():
            raise NervError("this process does not run in a pod", "name a kubeconfig with --kubeconfig")
        host = f"[{host}]" if ":" in host else host
        return cls(f"https://{host}:{port}", (folder / "ca.crt").read_text(), token_file=folder / "token")


def _named(config: Mapping[str, Any], section: str, name: str, kind: str, path: Path) -> Mapping[str, Any]:
    for item in config.get(section) or ():
        if item.get("name") == name:
            found: Mapping[str, Any] = item.get(kind) or {}
            return found
    raise NervError(f"{path}: there is no {kind} {name!r}")


_UNSUPPORTED = {
    "exec": "a login program",
    "auth-provider": "an authentication provider",
    "username": "a password",
    "proxy-url": "a proxy",
    "insecure-skip-tls-verify": "an unverified server",
    "tls-server-name": "another name in the server's certificate",
}


def _refuse_unsupported(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """Say what this client does not speak, where otherwise an anonymous request would be refused without a reason."""
    for section in (cluster, user):
        for key, meaning in _UNSUPPORTED.items():
            if section.get(key):
                raise NervError(
                    f"{path}: `{key}` ({meaning}) is not supported",
                    "use a context with a client certificate or a token, and the authority of its server",
                )


def _pem(section: Mapping[str, Any], key: str, folder: Path) -> str | None:
    """From `key-data` (base64) or the file that `key` names."""
    if section.get(f"{key}-data"):
        return base64.b64decode(section[f"{key}-data"]).decode()
    if section.get(key):
        text: str = (folder / section[key]).read_text()
        return text
    return None


class TlsTransport:
    """Keeps connections; one per event loop."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._base = access.server.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._openings: set[asyncio.Task[aiohttp.ClientResponse]] = set()

    @classmethod
    def from_kubeconfig(cls, path: Path, context: str | None = None) -> TlsTransport:
        """By a kubeconfig's named context, or its current one. Raises NervError."""
        return cls(Access.from_kubeconfig(path, context))

    @classmethod
    def in_cluster(cls) -> TlsTransport:
        """By the service account of the pod this process runs in. Raises NervError."""
        return cls(Access.in_cluster(os.environ))

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """One exchange. Raises errors.Unreachable."""
        # None and not b"": a content type without content makes a real API server refuse discovery with 406
        data = body or None
        try:
            async with await self._begin(method, path, headers, data, _IN_TIME) as got:
                # a header that is sent several times (Warning) is one list
                lowered = {name.lower(): ", ".join(got.headers.getall(name)) for name in got.headers}
                return RawResponse(got.status, lowered, await got.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None

    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines of a watch or a log. Raises errors.ApiError."""
        try:
            async with await self._begin("GET", path, headers, None, _ENDLESS) as got:
                if got.status >= 400:
                    raise _failure(got.status, await got.read())
                try:
                    async with aclosing(_lines(got.content)) as lines:
                        async for line in lines:
                            yield line
                finally:
                    _abort(got)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None

    async def _begin(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """The head of an answer. When this is cancelled the exchange goes on to its head, and is cut off there.

        aiohttp takes leave over TLS of what is cancelled, and nobody can wait for that: it would outlive the loop.
        """
        url = self._base + path
        exchange = self._open().request(method, url, headers=self._signed(headers), data=data, timeout=timeout)
        opening = asyncio.ensure_future(exchange)
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_drop)
            raise

    async def close(self) -> None:
        """Close the connections."""
        if self._openings:
            _, late = await asyncio.wait(self._openings, timeout=_CLOSE_SECONDS)
            for opening in late:
                opening.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._session:
            await self._session.close()
            self._session = None
            # what was cut off is closed in the loop's next turn
            await asyncio.sleep(0)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            access = self._access
            context: ssl.SSLContext | bool = True
            if access.server.startswith("https"):
                context = tls.client_context(access.ca_pem, access.certificate_pem, access.key_pem)
            # trust_env stays off: a proxy of the environment must not see the cluster's traffic
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=0), auto_decompress=True
            )
        return self._session

    def _signed(self, headers: Mapping[str, str]) -> dict[str, str]:
        access = self._access
        token = access.token_file.read_text().strip() if access.token_file else access.token
        return {**headers, "authorization": f"Bearer {token}"} if token else dict(headers)

    def _unreachable(self, error: Exception) -> errors.Unreachable:
        return errors.Unreachable(f"the API server {self._base} does not answer: {_why(error)}")


def _drop(opening: asyncio.Task[aiohttp.ClientResponse]) -> None:
    """Nobody waits for the answer any more."""
    if not opening.cancelled() and opening.exception() is None:
        _abort(opening.result())
        opening.result().close()


def _abort(answer: aiohttp.ClientResponse) -> None:
    """End an answer that is not wanted any more: nobody waits for a farewell over TLS."""
    if answer.connection and answer.connection.transport:
        answer.connection.transport.abort()


def _why(error: Exception) -> str:
    """In the words of the system: `connection refused`, not which library was asked."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate does not verify ({error.certificate_error})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, OSError) and isinstance(inner.errno, int) and inner.errno > 0:
        return os.strerror(inner.errno).lower()
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(error)
    return text or type(error).__name__


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


def _failure(status: int, body: bytes) -> errors.ApiError:
    try:
        return errors.from_status({"code": status, **orjson.loads(body)})
    except (orjson.JSONDecodeError, TypeError):
        text = body.decode("utf-8", "replace").strip()
        return errors.from_status({"code": status, "message": text or f"HTTP {status}"})
