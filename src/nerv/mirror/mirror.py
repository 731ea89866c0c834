"""The mirror's server: one TLS socket that answers for every mirrored host, told apart by the name asked for."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from nerv import certificates
from nerv.http import tls
from nerv.http.messages import Request, Response
from nerv.http.server import Server, listen
from nerv.kube.client import Client
from nerv.mirror import charts, git_http
from nerv.mirror.charts import KeptChart
from nerv.mirror.commits import CommitWatch
from nerv.mirror.config import ChartOrigin, MirrorConfig
from nerv.mirror.proxy import Proxy
from nerv.tasks import Supervisor

_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Mirror:
    """`start`, then `proxy_url` and `ca_file` lead programs here; `stop` ends it."""

    def __init__(self, config: MirrorConfig, client: Client) -> None:
        self._config = config
        self._client = client
        self._server: Server | None = None
        self._proxy = Proxy(lambda: config.hosts, config.unix, offline=config.offline)
        self._tasks = Supervisor()
        self._charts: dict[ChartOrigin, KeptChart] = {}

    @property
    def proxy_url(self) -> str:
        """HTTP CONNECT proxy on loopback."""
        return self._proxy.url

    @property
    def ca_file(self) -> Path:
        """Bundle of the authorities that a client of the proxy must trust."""
        return self._config.ca_bundle

    @property
    def hosts(self) -> frozenset[str]:
        """Host names that lead here."""
        return self._config.hosts

    @property
    def refused(self) -> frozenset[str]:
        """Hosts that were asked for and refused, offline."""
        return frozenset(self._proxy.refused)

    async def start(self) -> None:
        """Resolve the charts, then serve. Raises NervError for damaged charts."""
        config = self._config
        self._charts = await charts.resolve(config.charts, config.kept, offline=config.offline)
        _write_bundle(config.ca_bundle, config.ca.certificate)
        leaf = certificates.issue(config.ca, "nerv-mirror", names=sorted(config.hosts))
        context: ssl.SSLContext = tls.server_context(leaf.certificate, leaf.key)
        self._server = await listen(self._handle, unix=config.unix, ssl=context)
        await self._proxy.start()
        watch = CommitWatch(self._client, config.repository, config.branch, config.repository_url)
        self._tasks.start("commits", watch.run)

    async def stop(self) -> None:
        """End everything."""
        await self._tasks.stop()
        await self._proxy.stop()
        if self._server:
            await self._server.close()

    async def _handle(self, request: Request) -> Response:
        host = request.headers.get("host", "").partition(":")[0]
        config = self._config
        if host == config.git_host:
            for prefix in (f"{config.git_path}.git", config.git_path):
                if request.path.startswith(f"{prefix}/"):
                    return await git_http.serve(request, request.path.removeprefix(prefix), config.repository)
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
    system = next((Path(name) for name in _SYSTEM_BUNDLES if Path(name).exists()), None)
    text = authority if system is None else authority + "\n" + system.read_text(encoding="utf-8", errors="replace")
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
