"""Which cluster a verb speaks to: the one choice that every verb shares.

    --kubeconfig FILE [--context NAME]    that cluster
    --context NAME                        of $KUBECONFIG or ~/.kube/config
    -C DIR, the nearest nerv.yaml, the only platform that runs here:
        the platform as it runs on this machine, else as it was deployed (kubeconfig in the operator's folder)

A kubeconfig of the environment is never used unasked: it may name any cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from nerv import documents
from nerv.errors import NervError
from nerv.kube.tls import Access
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder

KUBECONFIG = "kubeconfig"
"""Name of a deployed platform's kubeconfig in the operator's folder."""


@dataclass(frozen=True)
class Target:
    """A cluster by its kubeconfig, and the platform's folder where it was chosen through one."""

    kubeconfig: Path
    context: str | None = None
    folder: PlatformFolder | None = None
    engine: str = ""
    """NERV's engine where the platform runs on this machine, else empty"""

    @property
    def mirrored(self) -> bool:
        """Whether it is a platform on this machine that reads its repository from its folder."""
        return bool(self.engine) and self.folder is not None and not self.folder.bare.exists()

    @property
    def server(self) -> str:
        """URL of the API server. Raises NervError for an unusable file."""
        return Access.from_kubeconfig(self.kubeconfig, self.context).server

    @property
    def label(self) -> str:
        """What marks the cluster on this machine (/etc/hosts, trust store), known while it is down as well."""
        return self.folder.root.name if self.folder else urlsplit(self.server).netloc.replace(":", "-")


def choose(kubeconfig: Path | None, context: str | None, directory: Path | None) -> Target:
    """The cluster meant. Raises NervError when there is none, or more than one to choose from."""
    if kubeconfig is not None or context is not None:
        return _recognised(Target(kubeconfig or _file_with(context or ""), context))
    if directory is not None:
        return of_platform(folders.find(directory))
    try:
        folder = folders.find(None)
    except NervError as error:
        raise NervError(error.message, f"{error.hint}; --kubeconfig or --context choose any cluster") from None
    return of_platform(folder)


def of_platform(folder: PlatformFolder) -> Target:
    """A platform as it runs on this machine, else as it was deployed. Raises NervError when it is neither."""
    running = next((each for each in folders.running_platforms() if each.folder == folder), None)
    if running is not None and folder.kubeconfig.exists():
        return Target(folder.kubeconfig, folder=folder, engine=running.engine)
    from nerv.operations import keys  # reads the definition, whose models take longer to import than all the rest

    deployed = keys.folder_of(folder.root) / KUBECONFIG
    if deployed.exists():
        return Target(deployed, folder=folder)
    raise NervError(
        f"{folder.root} does not run here and was not deployed",
        f"`nerv up {folder.root}` starts it; --kubeconfig or --context choose another cluster",
    )


def _recognised(target: Target) -> Target:
    """A platform of this machine stays one when it is reached by its kubeconfig: its addresses are not real."""
    file = target.kubeconfig.resolve()
    for running in folders.running_platforms():
        if running.folder.kubeconfig.resolve() == file:
            return replace(target, folder=running.folder, engine=running.engine)
    return target


def _file_with(context: str) -> Path:
    """The first kubeconfig of the environment that has the context."""
    files = list(_environment())
    known = []
    for path in files:
        names = _contexts(path)
        if context in names:
            return path
        known += names
    where = ":".join(map(str, files))
    raise NervError(f"there is no context {context!r} in {where}", f"there are {', '.join(known) or 'none'}")


def _environment() -> Iterator[Path]:
    given = [Path(entry) for entry in os.environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    yield from given or [Path.home() / ".kube" / "config"]


def _contexts(path: Path) -> list[str]:
    try:
        config = documents.load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, documents.DocumentError):
        raise NervError(f"{path} is no readable kubeconfig") from None
    return [str(each.get("name")) for each in config.get("contexts") or ()]
