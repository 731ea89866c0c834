"""The few calls of GitHub's REST API that a bootstrap needs (docs.github.com/rest, version 2022-11-28).

Why no client library: docs/decisions/0012-bootstrap-without-the-flux-binary.md.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from nerv import documents
from nerv.errors import NervError

_SECONDS = 30.0
_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "nerv",
}


class GitHubError(NervError):
    """GitHub refused. `status` is the HTTP code."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


@dataclass(frozen=True)
class User:
    """Whose token it is. `scopes` are those of a classic token; None for a fine-grained one, which names none."""

    login: str
    scopes: frozenset[str] | None


@dataclass(frozen=True)
class HostedRepository:
    """A repository as GitHub shows it to the token's owner."""

    owner: str
    name: str
    private: bool
    archived: bool
    can_push: bool
    can_administer: bool

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> HostedRepository:
        allowed = answer.get("permissions") or {}
        return cls(
            answer["owner"]["login"],
            answer["name"],
            bool(answer.get("private")),
            bool(answer.get("archived")),
            bool(allowed.get("push") or allowed.get("admin")),
            bool(allowed.get("admin")),
        )


def api_url(hostname: str) -> str:
    """The API of github.com, or of a GitHub Enterprise server."""
    return "https://api.github.com" if hostname == "github.com" else f"https://{hostname}/api/v3"


class GitHub:
    """One token's view of a GitHub. `authorities` (PEM) are trusted beside the system's.

    async with GitHub(api_url("github.com"), token) as github: ...
    """

    def __init__(self, api: str, token: str, authorities: str = "") -> None:
        self._api = api.rstrip("/")
        self._token = token
        self._authorities = authorities
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> GitHub:
        context = ssl.create_default_context()
        if self._authorities:
            context.load_verify_locations(cadata=self._authorities)
        self._session = aiohttp.ClientSession(
            headers={**_HEADERS, "Authorization": f"Bearer {self._token}"},
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
            trust_env=True,  # many reach the world through a proxy
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def user(self) -> User:
        """Whose token it is. Raises GitHubError for one that is not valid."""
        answer, headers = await self._call("GET", "/user")
        scopes = headers.get("X-OAuth-Scopes")
        split = None if scopes is None else frozenset(filter(None, (scope.strip() for scope in scopes.split(","))))
        return User(answer["login"], split)

    async def repository(self, owner: str, name: str) -> HostedRepository | None:
        """The repository; None where there is none that the token may see."""
        try:
            answer, _ = await self._call("GET", f"/repos/{owner}/{name}")
        except GitHubError as error:
            if error.status == 404:
                return None
            raise
        return HostedRepository.from_answer(answer)

    async def create_repository(self, owner: str, name: str, *, personal: bool, private: bool) -> HostedRepository:
        """A new, empty repository of a user (the token's own) or an organization."""
        path = "/user/repos" if personal else f"/orgs/{owner}/repos"
        answer, _ = await self._call("POST", path, {"name": name, "private": private, "auto_init": False})
        return HostedRepository.from_answer({**answer, "permissions": {"admin": True}})

    async def ssh_host_keys(self) -> tuple[str, ...]:
        """GitHub's own public host keys, told over TLS; none where the server does not tell."""
        answer, _ = await self._call("GET", "/meta")
        return tuple(str(key) for key in answer.get("ssh_keys") or ())

    async def deploy_keys(self, owner: str, name: str) -> list[dict[str, Any]]:
        answer, _ = await self._call("GET", f"/repos/{owner}/{name}/keys?per_page=100")
        return list(answer)

    async def add_deploy_key(self, owner: str, name: str, *, title: str, key: str, read_only: bool) -> None:
        body = {"title": title, "key": key, "read_only": read_only}
        await self._call("POST", f"/repos/{owner}/{name}/keys", body)

    async def remove_deploy_key(self, owner: str, name: str, number: int) -> None:
        await self._call("DELETE", f"/repos/{owner}/{name}/keys/{number}")

    async def hooks(self, owner: str, name: str) -> list[dict[str, Any]]:
        answer, _ = await self._call("GET", f"/repos/{owner}/{name}/hooks?per_page=100")
        return list(answer)

    async def add_hook(self, owner: str, name: str, config: Mapping[str, str]) -> int:
        """A webhook for pushes. Returns its number."""
        body = {"name": "web", "active": True, "events": ["push"], "config": dict(config)}
        answer, _ = await self._call("POST", f"/repos/{owner}/{name}/hooks", body)
        return int(answer["id"])

    async def update_hook(self, owner: str, name: str, number: int, config: Mapping[str, str]) -> None:
        body = {"active": True, "events": ["push"], "config": dict(config)}
        await self._call("PATCH", f"/repos/{owner}/{name}/hooks/{number}", body)

    async def ping_hook(self, owner: str, name: str, number: int) -> None:
        await self._call("POST", f"/repos/{owner}/{name}/hooks/{number}/pings")

    async def hook_deliveries(self, owner: str, name: str, number: int) -> list[dict[str, Any]]:
        """What became of the webhook's last requests, newest first."""
        answer, _ = await self._call("GET", f"/repos/{owner}/{name}/hooks/{number}/deliveries?per_page=20")
        return list(answer)

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """The answer as JSON and its headers. Raises GitHubError."""
        assert self._session is not None
        try:
            async with self._session.request(method, self._api + path, json=body) as got:
                text = await got.read()
                answer = documents.load_json(text) if text else {}
                if got.status >= 400:
                    raise _refusal(method, path.partition("?")[0], got.status, answer, got.headers)
                return answer, got.headers
        except aiohttp.ClientSSLError as error:
            hint = "--ca-file names the authority of a server of your own"
            raise GitHubError(f"{self._api}: its certificate does not verify: {_reason(error)}", hint) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GitHubError(f"{self._api} does not answer: {_reason(error)}") from None
        except documents.DocumentError:
            raise GitHubError(f"{self._api}{path} answers with something else than JSON") from None


def _reason(error: Exception) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _refusal(method: str, path: str, status: int, answer: Any, headers: Mapping[str, str]) -> GitHubError:
    """What the answer comes to, for people."""
    said = answer.get("message", "") if isinstance(answer, dict) else ""
    details = [
        each.get("message") or f"{each.get('field')} {each.get('code')}"
        for each in (answer.get("errors") or () if isinstance(answer, dict) else ())
        if isinstance(each, dict)
    ]
    text = ": ".join([said or f"HTTP {status}", *map(str, details)])
    if status == 401:
        return GitHubError(f"GitHub does not take the token: {text}", "make a new one, or see whether it has ended")
    if status in (403, 429) and headers.get("X-RateLimit-Remaining") == "0":
        minutes = max(0, int(headers.get("X-RateLimit-Reset", "0")) - time.time()) / 60
        return GitHubError("GitHub's rate limit is used up", f"try again in {minutes:.0f} min", status=status)
    if status == 403 and "X-GitHub-SSO" in headers:
        url = headers["X-GitHub-SSO"].partition("url=")[2]
        return GitHubError("the token is not authorized for the organization's single sign-on", f"see {url}")
    needs = headers.get("X-Accepted-GitHub-Permissions", "").replace("_", " ").replace("=", ": ")
    hint = f"the token needs the repository permission {needs}" if status in (403, 404) and needs else ""
    return GitHubError(f"GitHub refuses {method} {path}: {text}", hint, status=status)
