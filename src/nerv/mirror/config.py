"""What a mirror is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nerv.certificates import KeyPair


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
    """`unix` is where the mirror listens (TLS). `kept` is the folder of resolved charts."""

    repository: Path
    """the platform's own repository on this machine"""
    repository_url: str
    """its public URL (https)"""
    branch: str
    charts: tuple[ChartOrigin, ...]
    kept: Path
    ca: KeyPair
    unix: Path
    ca_bundle: Path
    """written by the mirror: the platform's authority and those of the system"""
    offline: bool = False

    @property
    def git_host(self) -> str:
        return urlsplit(self.repository_url).hostname or ""

    @property
    def git_path(self) -> str:
        """Path of the repository's URL without a slash or `.git` at the end."""
        return urlsplit(self.repository_url).path.rstrip("/").removesuffix(".git")

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that the mirror answers for."""
        return frozenset({self.git_host, *(chart.host for chart in self.charts)}) - {""}
