"""The mirror's server: one TLS socket that answers for every mirrored host, told apart by the name asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nerv import certificates
from nerv.builders import git
from nerv.http import tls
from nerv.http.messages import Request, Response
from nerv.http.server import Server, listen
from nerv.kube.client import Client
from nerv.mirror import charts, git_http
from nerv.mirror import kept as keeping
from nerv.mirror.chart_watch import ChartWatch
from nerv.mirror.commits import CommitWatch
from nerv.mirror.config import ChartOrigin, MirrorConfig
from nerv.mirror.kept import KeptChart
from nerv.mirror.proxy import Proxy
from nerv.tasks import Supervisor

if TYPE_CHECKING:
    import asyncssh


class Mirror:
    """`start`, then `proxy_url` and `ca_file` lead programs here; `stop` ends it."""

    def __init__(self, config: MirrorConfig, client: Client) -> None:
        self._config = config
        self._client = client
        self._server: Server | None = None
        self._ssh: asyncssh.SSHAcceptor | None = None
        self.proxy = Proxy(
            lambda: config.served,
            loopback={config.git},
            inside=config.inside,
            offline=config.offline,
            on_refused=config.on_refused,
        )
        self._tasks = Supervisor()
        self._charts: dict[ChartOrigin, KeptChart] = {}

    @property
    def proxy_url(self) -> str:
        """HTTP CONNECT proxy on loopback, with the login that it asks for: a secret."""
        return self.proxy.url

    @property
    def ca_file(self) -> Path:
        """Bundle of the authorities that a client of the proxy must trust."""
        return self._config.ca_bundle

    @property
    def served(self) -> Mapping[tuple[str, int], Path]:
        """Hosts and ports that lead here, and the sockets at which they are answered."""
        return self._config.served

    @property
    def refused(self) -> frozenset[str]:
        """Hosts that were asked for and refused, offline."""
        return frozenset(self.proxy.refused)

    async def start(self) -> None:
        """Resolve the charts, then serve. Raises NervError for damaged charts."""
        config = self._config
        self._charts = await charts.resolve(config.charts, config.kept, offline=config.offline)
        _write_bundle(config.ca_bundle, config.ca.certificate)
        leaf = certificates.issue(config.ca, "nerv-mirror", names=sorted({host for host, _ in config.served}))
        context: ssl.SSLContext = tls.server_context(leaf.certificate, leaf.key)
        self._server = await listen(self._handle, unix=config.unix, ssl=context)
        await self.proxy.start(config.proxy)
        kept = ChartWatch(self._client, config.kept, self._take_up)
        self._tasks.start("charts", kept.run)
        if config.repository is None:
            return
        if config.speaks_ssh:
            await self._listen_ssh()
        watch = CommitWatch(self._client, config.repository, config.branch, config.repository_url)
        self._tasks.start("commits", watch.run)

    def _take_up(self) -> list[ChartOrigin]:
        """Serve what is kept now; the charts that are others than before."""
        record = keeping.read(self._config.kept)
        now = {chart: record.get(chart.file_name, before) for chart, before in self._charts.items()}
        changed = [chart for chart, before in self._charts.items() if now[chart].digest != before.digest]
        self._charts = now
        return changed

    async def _listen_ssh(self) -> None:
        from nerv.mirror import git_ssh  # 15 MB that only ssh:// URLs need

        config = self._config
        self._ssh = await git_ssh.listen(
            config.ssh, config.ssh_host_key, lambda path: config.repository if config.names_repository(path) else None
        )

    async def stop(self) -> None:
        """End everything."""
        await self._tasks.stop()
        await self.proxy.stop()
        if self._ssh:
            self._ssh.close()
            await self._ssh.wait_closed()
        if self._server:
            await self._server.close()

    async def _handle(self, request: Request) -> Response:
        host = request.headers.get("host", "").partition(":")[0]
        config = self._config
        if host == config.git[0] and config.repository is not None:
            for action in git_http.ACTIONS:
                if request.path.endswith(action) and config.names_repository(request.path.removesuffix(action)):
                    return await git_http.serve(request, action, config.repository)
        return await asyncio.to_thread(self._chart_file, host, request.path)

    def _chart_file(self, host: str, path: str) -> Response:
        """`index.yaml` or an archive of a chart repository."""
        folder, _, name = path.rpartition("/")
        here = {c: k for c, k in self._charts.items() if c.host == host and c.path == folder}
        if here and name == "index.yaml":
            repository = next(iter(here)).repository.rstrip("/")
            return Response(200, charts.index(here, repository, self._config.kept), "text/yaml")
        for chart, kept in here.items():
            if name == chart.file_name:
                return Response(200, (self._config.kept / kept.file).read_bytes(), "application/gzip")
        return Response(404, f"the mirror of {host} has no {path}\n".encode(), "text/plain; charset=utf-8")


def _write_bundle(path: Path, authority: str) -> None:
    """The platform's authority and the system's: tunnelled hosts keep their own certificates."""
    path.touch(mode=0o600)
    path.write_text(f"{authority}\n{git.trusted_bundle()}", encoding="utf-8")
