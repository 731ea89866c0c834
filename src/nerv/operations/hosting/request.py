"""What a bootstrap is asked for: the definition's repository, changed by the options of the command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from nerv import documents
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.components.flux import resources as flux
from nerv.deploy.hosting import content
from nerv.deploy.hosting.content import FluxCommit, FluxFile
from nerv.errors import NervError
from nerv.kube.objects import Object
from nerv.operations.folder import PlatformFolder
from nerv.platform import versions
from nerv.rendering import cluster, headers

Auth = Literal["token", "deployKey"]
_COMPONENTS, _SYNC, _KUSTOMIZATION = "gotk-components.yaml", "gotk-sync.yaml", "kustomization.yaml"
DEFAULT_TIMEOUT = 300.0


@dataclass(frozen=True)
class Options:
    """What the command line says; None leaves it to the definition."""

    branch: str | None = None
    path: str | None = None
    auth: Auth | None = None
    private: bool = True
    personal: bool = False
    owner: str | None = None
    repository: str | None = None
    hostname: str | None = None
    ssh_hostname: str | None = None
    url: str | None = None
    read_write_key: bool = False
    authorities: str = ""
    """certificates (PEM) that are trusted beside the system's"""
    known_hosts: str = ""
    private_key: str = field(default="", repr=False)
    appendix: str = ""
    webhook: bool = True
    webhook_url: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    dry_run: bool = False


@dataclass(frozen=True)
class Request:
    """A bootstrap, with everything decided. `platform` is the definition with this repository."""

    folder: PlatformFolder
    platform: Platform
    path: str
    """folder of the cluster in the repository"""
    options: Options

    @property
    def url(self) -> str:
        """By which Flux fetches."""
        return self.platform.spec.repository.url

    @property
    def branch(self) -> str:
        return self.platform.spec.repository.branch

    @property
    def auth(self) -> Auth:
        return self.platform.spec.repository.login

    def flux_file(self, name: str) -> str:
        """Path of one of Flux's own files."""
        return f"{self.path}/flux-system/{name}"

    def components(self) -> FluxCommit:
        """gotk-components.yaml; one that is there is kept, whoever wrote it."""
        texts = cluster.files(self.platform)
        text = texts[f"{self.platform.cluster_path}/flux-system/{_COMPONENTS}"]
        message = f"Add Flux {versions.FLUX} component manifests"
        return FluxCommit(message, (FluxFile(self.flux_file(_COMPONENTS), text, content.anything),))

    def sync(self) -> FluxCommit:
        """gotk-sync.yaml with this repository, and the kustomization.yaml of the folder where there is none."""
        texts = cluster.files(self.platform)
        text = headers.FLUX_OWNED + documents.dump_all(self.sync_objects())
        listed = texts[f"{self.platform.cluster_path}/flux-system/{_KUSTOMIZATION}"]
        return FluxCommit(
            "Add Flux sync manifests",
            (
                FluxFile(self.flux_file(_SYNC), text, content.same_objects(text)),
                FluxFile(self.flux_file(_KUSTOMIZATION), listed, content.anything),
            ),
        )

    def sync_objects(self) -> list[Object]:
        """The GitRepository and the Kustomization of the cluster's folder."""
        source, applied = flux.sync(self.platform)
        return [source, {**applied, "spec": {**applied["spec"], "path": f"./{self.path}"}}]


@dataclass(frozen=True)
class GitHubPlace:
    """Which repository of which GitHub."""

    hostname: str
    owner: str
    name: str

    @property
    def https_url(self) -> str:
        """By which the token pushes."""
        return f"https://{self.hostname}/{self.owner}/{self.name}.git"


def for_github(folder: PlatformFolder, options: Options) -> tuple[Request, GitHubPlace]:
    """The request and the place at GitHub. Raises ProblemsError, NervError."""
    platform = definition.load(folder.definition)
    repository = platform.spec.repository
    parts = urlsplit(repository.url)
    owner, _, name = parts.path.strip("/").removesuffix(".git").partition("/")
    if (not name or "/" in name) and not (options.owner and options.repository):
        raise NervError(f"{repository.url} names no owner and repository", "give --owner and --repository")
    https = parts.scheme == "https"
    place = GitHubPlace(
        options.hostname or (parts.netloc.rpartition("@")[2] if https else parts.hostname or ""),
        options.owner or owner,
        options.repository or name,
    )
    same = (place.owner, place.name) == (owner, name) and (not https or place.hostname == parts.netloc)
    auth = options.auth or repository.login
    url = repository.url
    if not same or (auth == "token") is not https:
        key_host = options.ssh_hostname or place.hostname
        url = place.https_url if auth == "token" else f"ssh://git@{key_host}/{place.owner}/{place.name}"
    return _request(folder, platform, url, options), place


def for_server(folder: PlatformFolder, options: Options) -> Request:
    """The request for a server that speaks Git alone. Raises ProblemsError, NervError."""
    platform = definition.load(folder.definition)
    return _request(folder, platform, options.url or platform.spec.repository.url, options)


def _request(folder: PlatformFolder, platform: Platform, url: str, options: Options) -> Request:
    repository = platform.spec.repository
    scheme = urlsplit(url).scheme
    if scheme not in ("https", "ssh"):
        raise NervError(f"`{url}` is not a Git URL", "https:// or ssh://")
    auth = "deployKey" if scheme == "ssh" else "token"
    branch = options.branch or repository.branch
    changed = repository.model_copy(update={"url": url, "branch": branch, "auth": auth})
    spec = platform.spec.model_copy(update={"repository": changed})
    wanted = platform.model_copy(update={"spec": spec})
    path = (options.path or platform.cluster_path).strip("./")
    return Request(folder, wanted, path, options)
