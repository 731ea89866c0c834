"""Downloads of source-controller: over the proxy to the outside, checked against the platform's and a source's own
authorities, with the credentials of the source's Secret."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from nerv.controllers.flux.config import Outside
from nerv.errors import NervError
from nerv.http import tls
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS


class DownloadError(NervError):
    """What was asked for did not come."""


class CredentialsError(NervError):
    """The Secret of a source is missing or makes no sense."""


@dataclass(frozen=True)
class Credentials:
    """Who asks, and whom to trust beside the platform's authorities. PEM texts."""

    username: str = ""
    password: str = ""
    authority: str = ""
    certificate: str = ""
    key: str = ""


async def credentials(client: Client, obj: Object) -> Credentials:
    """From `spec.secretRef` and `spec.certSecretRef`. Raises CredentialsError."""
    spec = obj["spec"]
    namespace = obj["metadata"]["namespace"]
    login = await _secret(client, namespace, spec.get("secretRef"))
    trust = await _secret(client, namespace, spec.get("certSecretRef")) or login
    if bool(login.get("username")) != bool(login.get("password")):
        name = spec["secretRef"]["name"]
        raise CredentialsError(f"invalid '{namespace}/{name}' secret data: required fields 'username' and 'password'")
    return Credentials(
        login.get("username", ""),
        login.get("password", ""),
        trust.get("ca.crt") or trust.get("caFile", ""),
        trust.get("tls.crt") or trust.get("certFile", ""),
        trust.get("tls.key") or trust.get("keyFile", ""),
    )


async def _secret(client: Client, namespace: str, reference: Mapping[str, str] | None) -> dict[str, str]:
    if not reference:
        return {}
    try:
        secret = await client.get(SECRETS, reference["name"], namespace)
    except errors.ApiError as error:
        name = f"{namespace}/{reference['name']}"
        raise CredentialsError(f"failed to get authentication secret '{name}': {error.message}") from None
    data = secret.get("data") or {}
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}


async def get(
    url: str, outside: Outside, credentials: Credentials, *, timeout: float, limit: int, same_host_as: str = ""
) -> bytes:
    """The body behind a URL, at most `limit` bytes, within `timeout` seconds. Raises DownloadError.

    With `same_host_as` the credentials are sent only if the URL names the same host.
    """
    trusted = not same_host_as or urlsplit(url).netloc == urlsplit(same_host_as).netloc
    auth = None
    if trusted and credentials.username:
        auth = aiohttp.BasicAuth(credentials.username, credentials.password)
    proxy = outside.proxy_url or None
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), trust_env=False) as session,
            session.get(url, proxy=proxy, auth=auth, ssl=_context(outside, credentials)) as answer,
        ):
            if answer.status != 200:
                raise DownloadError(f"failed to fetch {url} : {answer.status} {answer.reason}")
            body = await answer.content.read(limit + 1)
            while len(body) <= limit and not answer.content.at_eof():
                body += await answer.content.read(limit + 1 - len(body))
    except aiohttp.ClientHttpProxyError as error:
        raise DownloadError(f'Get "{url}": {error.message}') from None
    except TimeoutError:
        raise DownloadError(f'Get "{url}": no answer within {timeout:g} s') from None
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        raise DownloadError(f'Get "{url}": {_one_line(error)}') from None
    if len(body) > limit:
        raise DownloadError(f"size of {url} is larger than the maximum of {limit} bytes")
    return body


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _context(outside: Outside, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if outside.ca_file:
            context.load_verify_locations(cafile=outside.ca_file)
        if credentials.authority:
            context.load_verify_locations(cadata=credentials.authority)
        if credentials.certificate:
            tls.load_chain(context, credentials.certificate, credentials.key)
    except (ssl.SSLError, OSError) as error:
        raise DownloadError(f"cannot load certificates: {_one_line(error)}") from None
    return context
