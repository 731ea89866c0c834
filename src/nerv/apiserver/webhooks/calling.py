"""POST a review to a webhook through the cluster's network, with its CA verified, and every failure in the API
server's words."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from nerv.apiserver import routing
from nerv.apiserver.store import Store
from nerv.apiserver.webhooks import answers
from nerv.apiserver.webhooks.failures import CallFailed, NotCallable
from nerv.http import exchange, tls
from nerv.http.exchange import Dial, Exchange, ExchangeError
from nerv.kube import errors
from nerv.kube.objects import Object

_LARGEST_ANSWER = 16 << 20
_NO_PEM = "unable to load root certificates: unable to parse bytes as PEM block"
_HEADERS = {"Accept": "application/json, */*", "Content-Type": "application/json", "Connection": "close"}


@dataclass(frozen=True)
class Endpoint:
    """Where a webhook is, as clientConfig says: a Service, or a URL."""

    url: str
    ca_bundle: str
    """PEM in base64; empty: the system's authorities"""
    namespace: str = ""
    service: str = ""
    port: int = 443

    @classmethod
    def of(cls, config: dict[str, Any]) -> Endpoint:
        """From a clientConfig."""
        bundle = config.get("caBundle") or ""
        service = config.get("service")
        if not service:
            return cls(config.get("url") or "", bundle)
        port = service.get("port") or 443
        host = f"{service['name']}.{service['namespace']}.svc"
        path = "/" + (service.get("path") or "/").lstrip("/")
        return cls(f"https://{host}:{port}{path}", bundle, service["namespace"], service["name"], port)


class Caller:
    """Dials pods of Services with `dial` and URLs with `outside`; without those they cannot be reached."""

    def __init__(self, store: Store, dial: Dial | None, outside: Dial | None) -> None:
        self._store = store
        self._dial = dial
        self._outside = outside
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def post(self, endpoint: Endpoint, review: Object, timeout: int) -> Object:
        """The answer to a review. `timeout` in seconds. Raises CallFailed."""
        url = f"{endpoint.url}?timeout={timeout}s"
        try:
            return await asyncio.wait_for(self._post(endpoint, review, url), timeout)
        except TimeoutError:
            raise CallFailed(f'Post "{url}": context deadline exceeded') from None
        except errors.NotFound:
            raise CallFailed(f'Post "{url}": service "{endpoint.service}" not found') from None
        except errors.ApiError as error:
            raise CallFailed(f'Post "{url}": {error.message}') from None
        except ssl.SSLCertVerificationError as error:
            reason = f"tls: failed to verify certificate: x509: {error.verify_message}"
            raise CallFailed(f'Post "{url}": {reason}') from None
        except (OSError, ExchangeError, asyncio.IncompleteReadError, ValueError) as error:
            # ValueError: a host or port that none can be
            raise CallFailed(f'Post "{url}": {error or type(error).__name__}') from None

    async def _post(self, endpoint: Endpoint, review: Object, url: str) -> Object:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        dial, address = self._outside, (host, port)
        if endpoint.service:
            dial = self._dial
            address = routing.resolve(self._store, endpoint.namespace, endpoint.service, endpoint.port)
        if dial is None:
            raise errors.ServiceUnavailable("the API server has no way to webhooks")
        context = self._context(endpoint.ca_bundle)
        connection = await dial(*address)
        try:
            call = Exchange(await exchange.secure(connection, context, host))
            path = f"{parts.path or '/'}?{parts.query}"
            await call.send("POST", path, f"{host}:{port}", _HEADERS, orjson.dumps(review))
            head = await call.head()
            body = await call.read(_LARGEST_ANSWER)
        finally:
            connection[1].close()
        return answers.read(head.status, head.headers.get("content-type", ""), body, review)

    def _context(self, ca_bundle: str) -> ssl.SSLContext:
        context = self._contexts.get(ca_bundle)
        if context is None:
            if len(self._contexts) > 64:
                self._contexts.clear()
            try:
                context = tls.client_context(base64.b64decode(ca_bundle).decode("ascii", "ignore") or None)
            except (ssl.SSLError, ValueError):
                raise NotCallable(_NO_PEM) from None
            self._contexts[ca_bundle] = context
        return context
