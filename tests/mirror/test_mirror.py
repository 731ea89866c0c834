"""The mirror through the real git program and an HTTP client, over the loopback proxy."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from tests.support import needs

from nerv import certificates, documents, process
from nerv.builders import git, ssh
from nerv.builders.git import Access, GitError
from nerv.errors import NervError, ProcessError
from nerv.http import tls
from nerv.http.messages import Response
from nerv.http.server import listen
from nerv.kube.client import Client
from nerv.mirror import ChartOrigin, Mirror, MirrorConfig

URL = "https://git.example.test/you/home.git"


@pytest.fixture
async def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "file").write_text("one\n")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.email", "me@example.test"],
        ["git", "config", "user.name", "me"],
        ["git", "add", "-A"],
        ["git", "commit", "-q", "-m", "one"],
    ):
        await process.run(command, cwd=folder)
    return folder


@pytest.fixture
def config(tmp_path: Path, repository: Path) -> MirrorConfig:
    stand_in = tmp_path / "stand-in"
    (stand_in / "templates").mkdir(parents=True)
    (stand_in / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.2.3\n")
    chart = ChartOrigin("https://charts.example.test/stable", "web", "1.2.3", stand_in)
    return MirrorConfig(
        repository=repository,
        repository_url=URL,
        branch="main",
        charts=(chart,),
        kept=tmp_path / "charts",
        ca=certificates.create_ca("test"),
        unix=tmp_path / "m.sock",
        ssh=tmp_path / "s.sock",
        proxy=tmp_path / "p.sock",
        ssh_host_key=ssh.generate().private,
        ca_bundle=tmp_path / "bundle.pem",
        offline=True,
    )


@pytest.fixture
async def mirror(config: MirrorConfig, client: Client) -> AsyncIterator[Mirror]:
    running = Mirror(config, client)
    await running.start()
    yield running
    await running.stop()


def _git(mirror: Mirror) -> dict[str, str]:
    return {"https_proxy": mirror.proxy_url, "GIT_SSL_CAINFO": str(mirror.ca_file), "GIT_TERMINAL_PROMPT": "0"}


@pytest.mark.parametrize("version", ["0", "2"])
async def test_git_clones_under_the_public_url(mirror: Mirror, tmp_path: Path, version: str) -> None:
    clone = tmp_path / "clone"
    await process.run(
        ["git", "-c", f"protocol.version={version}", "clone", "-q", "--depth=1", URL, str(clone)], env=_git(mirror)
    )
    assert (clone / "file").read_text() == "one\n"


async def test_a_push_is_refused_with_the_way_out(mirror: Mirror, repository: Path) -> None:
    with pytest.raises(ProcessError, match="403"):
        await process.run(["git", "push", "-q", URL, "main:other"], cwd=repository, env=_git(mirror))
    assert "other" not in (await process.run(["git", "branch"], cwd=repository)).stdout


async def test_charts_are_listed_and_served_with_their_digest(mirror: Mirror, config: MirrorConfig) -> None:
    trust = ssl.create_default_context(cadata=config.ca.certificate)
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        base = "https://charts.example.test/stable"
        async with session.get(f"{base}/index.yaml", proxy=mirror.proxy_url, ssl=trust) as answer:
            entry = documents.load(await answer.read())["entries"]["web"][0]
        assert entry["version"] == "1.2.3"
        async with session.get(entry["urls"][0], proxy=mirror.proxy_url, ssl=trust) as answer:
            archive = await answer.read()
    assert hashlib.sha256(archive).hexdigest() == entry["digest"]


async def test_programs_in_the_cluster_have_the_same_proxy_at_a_socket(mirror: Mirror, config: MirrorConfig) -> None:
    for host, answered in (
        ("git.example.test", b"HTTP/1.1 200 "),
        ("elsewhere.example.test", b"HTTP/1.1 503 offline: "),
    ):
        reader, writer = await asyncio.open_unix_connection(str(config.proxy))
        writer.write(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode())
        assert (await reader.readline()).startswith(answered)
        writer.close()
    assert config.proxy.stat().st_mode & 0o777 == 0o600


async def test_offline_refuses_and_reports_what_is_not_mirrored(mirror: Mirror) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientHttpProxyError) as caught:
            await session.get("https://elsewhere.example.test/", proxy=mirror.proxy_url)
    assert caught.value.status == 503
    assert caught.value.message == "offline: elsewhere.example.test is not mirrored here"
    assert mirror.refused == {"elsewhere.example.test"}


async def test_a_kept_chart_does_not_change_with_its_stand_in(
    mirror: Mirror, config: MirrorConfig, client: Client
) -> None:
    before = _kept(config).read_bytes()
    (config.charts[0].stand_in / "templates" / "new.yaml").write_text("kind: New\n")
    await mirror.stop()
    again = Mirror(replace(config, unix=config.unix.with_name("n.sock")), client)
    await again.start()
    await again.stop()
    assert _kept(config).read_bytes() == before


async def test_a_damaged_chart_is_refused(mirror: Mirror, config: MirrorConfig, client: Client) -> None:
    _kept(config).write_bytes(b"x")
    with pytest.raises(NervError, match="digest differs"):
        await Mirror(replace(config, unix=config.unix.with_name("n.sock")), client).start()


@pytest.fixture
def over_ssh(config: MirrorConfig) -> MirrorConfig:
    return replace(config, repository_url="ssh://git@git.example.test/you/home.git")


def _ssh_access(mirror: Mirror, config: MirrorConfig, host_key: str) -> Access:
    known_hosts = ssh.known_host("git.example.test", 22, ssh.identity(host_key).public)
    return Access(mirror.proxy_url, identity=ssh.generate(), known_hosts=known_hosts)


@needs.SSH
async def test_git_clones_over_ssh_under_the_public_url(over_ssh: MirrorConfig, client: Client, tmp_path: Path) -> None:
    mirror = Mirror(over_ssh, client)
    await mirror.start()
    try:
        access = _ssh_access(mirror, over_ssh, over_ssh.ssh_host_key)
        for url in (over_ssh.repository_url, over_ssh.repository_url.removesuffix(".git")):
            found = await git.fetch(tmp_path / "bare", url, "refs/heads/main", access)
            assert found.subject == "one"
        with pytest.raises(GitError, match="not found"):
            await git.references("ssh://git@git.example.test/you/other.git", access)
        push = ["git", "push", "-q", over_ssh.repository_url, "main:other"]
        with access.prepared(over_ssh.repository_url) as environment:
            refused = await process.run(push, cwd=over_ssh.repository, env=environment, check=False)
        assert "for reading" in refused.stderr
    finally:
        await mirror.stop()


@needs.SSH
async def test_another_host_key_is_refused(over_ssh: MirrorConfig, client: Client, tmp_path: Path) -> None:
    mirror = Mirror(over_ssh, client)
    await mirror.start()
    try:
        access = _ssh_access(mirror, over_ssh, ssh.generate().private)
        with pytest.raises(GitError, match="knownhosts: key mismatch"):
            await git.fetch(tmp_path / "bare", over_ssh.repository_url, "refs/heads/main", access)
        unknown = replace(access, known_hosts="elsewhere.example.test ssh-ed25519 AAAA\n")
        with pytest.raises(GitError, match="knownhosts: key is unknown"):
            await git.fetch(tmp_path / "bare", over_ssh.repository_url, "refs/heads/main", unknown)
    finally:
        await mirror.stop()


async def _answer(url: str, mirror: Mirror) -> int:
    """The proxy's answer to CONNECT, or that of the server behind it."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url, proxy=mirror.proxy_url, ssl=False) as answer:
                return answer.status
        except aiohttp.ClientHttpProxyError as error:
            return error.status


async def test_this_machine_is_reached_only_where_the_definition_names_it(config: MirrorConfig, client: Client) -> None:
    leaf = certificates.issue(config.ca, "localhost", names=["localhost"])
    server = await listen(lambda request: Response(200, b"{}"), ssl=tls.server_context(leaf.certificate, leaf.key))
    named = replace(config, repository=None, repository_url=f"https://localhost:{server.port}/you/home.git")
    other = replace(config, repository=None, offline=False)
    try:
        for one, expected in ((named, 200), (other, 403)):
            mirror = Mirror(one, client)
            await mirror.start()
            assert await _answer(f"https://localhost:{server.port}/", mirror) == expected
            await mirror.stop()
    finally:
        await server.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_no_spelling_of_loopback_leads_here(config: MirrorConfig, client: Client, host: str) -> None:
    mirror = Mirror(replace(config, repository=None, offline=False), client)
    await mirror.start()
    assert await _answer(f"https://{host}:1/", mirror) == 403
    await mirror.stop()


async def test_a_repository_that_is_not_served_is_refused_offline(config: MirrorConfig, client: Client) -> None:
    mirror = Mirror(replace(config, repository=None), client)
    await mirror.start()
    assert await _answer(URL, mirror) == 503
    assert mirror.refused == {"git.example.test"}
    await mirror.stop()


def _kept(config: MirrorConfig) -> Path:
    (file,) = config.kept.glob("web-1.2.3.*.tgz")
    return file
