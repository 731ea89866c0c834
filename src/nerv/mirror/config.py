"""What a mirror is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nerv.certificates import KeyPair
from nerv.mirror.inside import Inside

HTTPS, SSH = 443, 22


@dataclass(frozen=True)
class ChartOrigin:
    """A chart of a public repository, and the folder of a stand-in for where that repository does not answer."""

    repository: str
    """URL of the chart repository, such as https://charts.example.com/stable"""
    name: str
    version: str
    stand_in: Path

    @property
    def host(self) -> str:
        return urlsplit(self.repository).hostname or ""

    @property
    def path(self) -> str:
        """Path of the repository below its host, without a slash at the end."""
        return urlsplit(self.repository).path.rstrip("/")

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.tgz"


@dataclass(frozen=True)
class MirrorConfig:
    """`unix` is where the mirror listens (TLS), `ssh` where it speaks SSH, `proxy` where its proxy does for programs in
    the cluster and the API server. `kept` is the folder of resolved charts."""

    repository: Path | None
    """the platform's own repository on this machine; None: its host is tunnelled as every other"""
    repository_url: str
    """its public URL (https or ssh)"""
    branch: str
    charts: tuple[ChartOrigin, ...]
    kept: Path
    ca: KeyPair
    unix: Path
    ssh: Path
    proxy: Path
    ssh_host_key: str
    """private key (PEM) by which the mirror is known over SSH"""
    ca_bundle: Path
    """written by the mirror: the platform's authority and those of the system"""
    inside: Inside | None = None
    """the cluster's own hosts; None: there is no cluster to lead into"""
    offline: bool = False
    on_refused: Callable[[], None] = lambda: None
    """told when one more host was refused, offline"""

    @property
    def git(self) -> tuple[str, int]:
        """Host and port of the repository's URL."""
        parts = urlsplit(self.repository_url)
        return parts.hostname or "", parts.port or (SSH if parts.scheme == "ssh" else HTTPS)

    @property
    def speaks_ssh(self) -> bool:
        """Whether the repository is served over SSH."""
        return self.repository is not None and self.repository_url.startswith("ssh://")

    def names_repository(self, path: str) -> bool:
        """Whether a path is that of the repository's URL, with `.git` at its end or without."""
        return _bare(path) == _bare(urlsplit(self.repository_url).path)

    @property
    def served(self) -> Mapping[tuple[str, int], Path]:
        """Every host and port that the mirror answers for, and the socket at which it does."""
        found = {(chart.host, HTTPS): self.unix for chart in self.charts if chart.host}
        if self.repository is not None:
            found[self.git] = self.ssh if self.speaks_ssh else self.unix
        return found


def _bare(path: str) -> str:
    return path.rstrip("/").removesuffix(".git").lstrip("/")
