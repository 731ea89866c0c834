"""A GitHub of our own on loopback: the API calls of a bootstrap over TLS, real git behind it over HTTPS and SSH.

with github(tmp_path) as hub:
    hub.token("secret", "you", scopes={"repo"})
    ... https://localhost:{hub.port}/you/home.git, ssh://git@localhost:{hub.ssh_port}/you/home.git
    assert hub.writes == []

It judges as GitHub does: scopes and permissions of tokens, deploy keys by repository, protected branches, webhooks that
are really delivered. Every API call is kept in `calls`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import asyncssh
from typing_extensions import override

from nerv import certificates, process
from nerv.builders import ssh
from nerv.http import tls
from nerv.http.messages import Request, Response
from nerv.http.server import Server, listen
from nerv.mirror import git_ssh

T = TypeVar("T")
API = "/api/v3"
_HOOK = """#!/bin/sh
while read -r old new ref; do
  if [ -e "$GIT_DIR/protected-${ref##*/}" ]; then
    echo "error: GH006: Protected branch update failed for $ref." >&2
    exit 1
  fi
done
"""


@dataclass(frozen=True)
class Token:
    """`scopes` of a classic token; None: fine-grained, with `permissions` (administration, contents, webhooks)."""

    login: str
    scopes: frozenset[str] | None
    permissions: frozenset[str] = frozenset()

    def may(self, scope: str, permission: str) -> bool:
        if self.scopes is None:
            return permission in self.permissions
        return scope in self.scopes or "repo" in self.scopes


@dataclass
class Hosted:
    """A repository: its bare Git folder, and what the API knows of it."""

    owner: str
    name: str
    folder: Path
    private: bool = True
    archived: bool = False
    keys: list[dict[str, Any]] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)

    def git(self, *arguments: str) -> str:
        return process.run_sync(["git", "-C", str(self.folder), *arguments]).stdout.strip()

    def log(self, form: str = "%an <%ae>|%s") -> list[str]:
        """Commits of main, newest first."""
        return self.git("log", f"--format={form}", "main").splitlines()

    def protect(self, branch: str = "main") -> None:
        (self.folder / f"protected-{branch}").touch()


class Hub:
    """The server. All of it runs in one event loop; `github` gives it one in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = "localhost"
        """How clients call it; it also answers by the name of this machine."""
        self.ca = certificates.create_ca("hub")
        self.host_key = ssh.generate()
        self.calls: list[tuple[str, str]] = []
        self.pushes: list[str] = []
        self.before_push: Callable[[Hosted], None] | None = None
        """Called once when a push begins: whoever is faster."""
        self.routes: dict[str, tuple[str, int]] = {}
        """Where host names of webhooks are reached, and `trusted` the authority of their certificates."""
        self.trusted = ""
        self._tokens: dict[str, Token] = {}
        self._repositories: dict[tuple[str, str], Hosted] = {}
        self._numbers = itertools.count(1)
        self._server: Server | None = None
        self._ssh: asyncssh.SSHAcceptor | None = None
        self._background: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.port

    @property
    def ssh_port(self) -> int:
        assert self._ssh is not None
        return self._ssh.get_port()

    @property
    def hostname(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def writes(self) -> list[tuple[str, str]]:
        """API calls that changed something."""
        return [call for call in self.calls if call[0] != "GET"]

    def token(self, text: str, login: str, scopes: set[str] | None = None, permissions: set[str] | None = None) -> None:
        """Make a token valid."""
        self._tokens[text] = Token(login, None if scopes is None else frozenset(scopes), frozenset(permissions or ()))

    def forget(self) -> None:
        """Begin anew: no token, no repository, no call."""
        for found in self._repositories.values():
            shutil.rmtree(found.folder)
        self._repositories.clear()
        self._tokens.clear()
        self.calls.clear()
        self.pushes.clear()
        self.before_push = None

    def repository(self, owner: str, name: str) -> Hosted:
        return self._repositories[owner, name]

    def create(self, owner: str, name: str, *, private: bool = True) -> Hosted:
        folder = self.folder / owner / f"{name}.git"
        process.run_sync(["git", "init", "--quiet", "--bare", "-b", "main", str(folder)])
        process.run_sync(["git", "-C", str(folder), "config", "http.receivepack", "true"])
        hook = folder / "hooks" / "pre-receive"
        hook.write_text(_HOOK)
        hook.chmod(0o755)
        made = self._repositories[owner, name] = Hosted(owner, name, folder, private)
        return made

    async def start(self) -> None:
        leaf = certificates.issue(self.ca, "localhost", names=["localhost", "127.0.0.1", socket.gethostname()])
        self._server = await listen(self._handle, ssl=tls.server_context(leaf.certificate, leaf.key))
        self._ssh = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Login(self),
            server_host_keys=[asyncssh.import_private_key(self.host_key.private)],
            process_factory=self._over_ssh,
            encoding=None,
            config=None,
        )

    async def stop(self) -> None:
        for task in self._background:
            task.cancel()
        if self._ssh:
            self._ssh.close()
            await self._ssh.wait_closed()
        if self._server:
            await self._server.close()

    # HTTPS

    async def _handle(self, request: Request) -> Response:
        if request.path.startswith(API):
            return await self._api(request, request.path.removeprefix(API))
        return await self._over_https(request)

    async def _api(self, request: Request, path: str) -> Response:
        self.calls.append((request.method, path))
        if path == "/meta":
            kind, blob = self.host_key.public.split()[:2]
            return _json(200, {"ssh_keys": [f"{kind} {blob}"]})
        token = self._tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if token is None:
            return _json(401, {"message": "Bad credentials"})
        body = json.loads(request.body) if request.body else {}
        headers = {} if token.scopes is None else {"X-OAuth-Scopes": ", ".join(sorted(token.scopes))}
        match path.strip("/").split("/"):
            case ["user"]:
                return _json(200, {"login": token.login}, headers)
            case ["user", "repos"]:
                return self._made(token, token.login, body)
            case ["orgs", owner, "repos"]:
                return self._made(token, owner, body)
            case ["repos", owner, name, *rest]:
                found = self._repositories.get((owner, name))
                if found is None or (found.private and not token.may("repo", "metadata")):
                    return _json(404, {"message": "Not Found"})
                return await self._of_repository(token, found, request.method, rest, body)
        return _json(404, {"message": "Not Found"})

    def _made(self, token: Token, owner: str, body: Mapping[str, Any]) -> Response:
        if not token.may("repo" if body["private"] else "public_repo", "administration"):
            return _forbidden("administration=write")
        if (owner, body["name"]) in self._repositories:
            error = {"message": "name already exists on this account"}
            return _json(422, {"message": "Repository creation failed.", "errors": [error]})
        return _json(201, _shown(self.create(owner, body["name"], private=body["private"])))

    async def _of_repository(
        self, token: Token, found: Hosted, method: str, rest: list[str], body: Mapping[str, Any]
    ) -> Response:
        if rest[:1] == ["keys"] and not token.may("repo", "administration"):
            return _forbidden("administration=write")
        if rest[:1] == ["hooks"] and not token.may("admin:repo_hook", "webhooks"):
            return _forbidden("webhooks=write")
        match method, rest:
            case "GET", []:
                return _json(200, _shown(found))
            case "GET", ["keys"]:
                return _json(200, found.keys)
            case "POST", ["keys"]:
                found.keys.append({"id": next(self._numbers), **body})
                return _json(201, found.keys[-1])
            case "DELETE", ["keys", number]:
                found.keys = [key for key in found.keys if key["id"] != int(number)]
                return Response(204)
            case "GET", ["hooks"]:
                return _json(
                    200, [{**hook, "config": {**hook["config"], "secret": "********"}} for hook in found.hooks]
                )
            case "POST", ["hooks"]:
                found.hooks.append({"id": next(self._numbers), **body})
                self._deliver(found, found.hooks[-1], "ping", {"zen": "Keep it logically awesome."})
                return _json(201, found.hooks[-1])
            case "PATCH", ["hooks", number]:
                hook = next(each for each in found.hooks if each["id"] == int(number))
                hook.update(body)
                return _json(200, hook)
            case "POST", ["hooks", number, "pings"]:
                hook = next(each for each in found.hooks if each["id"] == int(number))
                self._deliver(found, hook, "ping", {"zen": "Keep it logically awesome."})
                return Response(204)
            case "GET", ["hooks", _, "deliveries"]:
                return _json(200, found.deliveries[::-1])
        return _json(404, {"message": "Not Found"})

    async def _over_https(self, request: Request) -> Response:
        """git http-backend, as the token's permissions allow."""
        found, action = self._repository_of(request.path)
        given = request.headers.get("authorization", "")
        password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")[2] if given else ""
        token = self._tokens.get(password)
        if token is None:
            return Response(401, b"", "text/plain", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if found is None:
            return Response(404, b"Repository not found.\n", "text/plain")
        pushes = "git-receive-pack" in (request.param("service"), action.strip("/"))
        if pushes and not token.may("public_repo", "contents"):
            return Response(403, b"Write access to repository not granted.\n", "text/plain")
        if pushes and action == "/git-receive-pack":
            self._begin(found)
        answer = await process.pipe(
            ["git", "http-backend"],
            request.body,
            env={
                "GIT_PROJECT_ROOT": str(self.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": f"/{found.owner}/{found.name}.git{action}",
                "REQUEST_METHOD": request.method,
                "QUERY_STRING": request.query,
                "CONTENT_TYPE": request.headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(request.body)),
                "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
                "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
                "REMOTE_USER": token.login,
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split(" ")[0])
        if pushes and action == "/git-receive-pack" and status == 200:
            self._pushed(found)
        return Response(status, body, headers.pop("Content-Type", "text/plain"), headers)

    def _repository_of(self, path: str) -> tuple[Hosted | None, str]:
        parts = path.strip("/").split("/")
        owner, name, rest = parts[0], "".join(parts[1:2]).removesuffix(".git"), parts[2:]
        return self._repositories.get((owner, name)), "/" + "/".join(rest)

    # SSH

    async def _over_ssh(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        login = client.get_extra_info("connection").get_owner()
        service, _, path = (client.command or "").partition(" ")
        found, _ = self._repository_of(path.strip("'"))
        key = next((key for key in found.keys if _blob(key["key"]) == login.blob), None) if found else None
        if found is None or key is None:
            client.stderr.write(b"ERROR: Repository not found.\n")
            client.exit(1)
            return
        if service == "git-receive-pack" and key.get("read_only"):
            client.stderr.write(b"ERROR: The key you are authenticating with has been marked as read only.\n")
            client.exit(1)
            return
        if service == "git-receive-pack":
            self._begin(found)
        child = await process.start(
            ["git", service.removeprefix("git-"), str(found.folder)],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await git_ssh.exchange(client, child.handle)
        code = await child.wait()
        if service == "git-receive-pack" and code == 0:
            self._pushed(found)
        client.exit(code)

    # webhooks

    def _begin(self, found: Hosted) -> None:
        hook, self.before_push = self.before_push, None
        if hook:
            hook(found)

    def _pushed(self, found: Hosted) -> None:
        self.pushes.append(f"{found.owner}/{found.name}")
        for hook in found.hooks:
            self._deliver(found, hook, "push", {"ref": "refs/heads/main"})

    def _deliver(self, found: Hosted, hook: Mapping[str, Any], event: str, payload: Mapping[str, Any]) -> None:
        delivery: dict[str, Any] = {"id": next(self._numbers), "event": event}
        found.deliveries.append(delivery)
        task = asyncio.get_running_loop().create_task(self._send(hook["config"], delivery, event, payload))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _send(
        self, config: Mapping[str, str], delivery: dict[str, Any], event: str, payload: Mapping[str, Any]
    ) -> None:
        body = json.dumps(payload).encode()
        parts = urlsplit(config["url"])
        host, port = self.routes.get(parts.hostname or "", (parts.hostname or "", parts.port or 443))
        signature = hmac.new(config["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        trust = ssl.create_default_context(cadata=self.trusted or None)
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"https://{host}:{port}{parts.path}",
                    data=body,
                    headers=headers,
                    ssl=trust,
                    server_hostname=parts.hostname,
                    timeout=aiohttp.ClientTimeout(total=10),
                ) as answer,
            ):
                delivery["status_code"] = answer.status
                delivery["status"] = "OK" if answer.status == 200 else "Invalid HTTP Response"
        except (aiohttp.ClientError, TimeoutError, OSError):
            delivery["status_code"], delivery["status"] = 0, "failed to connect to host"


class _Login(asyncssh.SSHServer):
    """Every key of a repository may come in; what it may do is decided by repository."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.blob = ""

    @override
    def begin_auth(self, username: str) -> bool:
        return True

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.blob = _blob(key.export_public_key().decode())
        known = (each for found in self._hub._repositories.values() for each in found.keys)
        return username == "git" and any(_blob(each["key"]) == self.blob for each in known)


def _blob(public: str) -> str:
    return public.split()[1]


def _shown(found: Hosted) -> dict[str, Any]:
    return {
        "owner": {"login": found.owner},
        "name": found.name,
        "private": found.private,
        "archived": found.archived,
        "permissions": {"admin": True, "push": True},
    }


def _json(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), headers=headers or {})


def _forbidden(needs: str) -> Response:
    message = {"message": "Resource not accessible by personal access token"}
    return _json(403, message, {"X-Accepted-GitHub-Permissions": needs})


@contextmanager
def github(folder: Path) -> Iterator[Hub]:
    """A hub that serves from a thread of its own until the end."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="github", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def make() -> Hub:
        made = Hub(folder)
        await made.start()
        return made

    hub = run(make())
    try:
        yield hub
    finally:
        run(hub.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
