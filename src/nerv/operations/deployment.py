"""What all steps of one node's deploy know: the platform, the machine, the options, the record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from nerv.components.catalog import Platform
from nerv.deploy.preflight import Finding
from nerv.deploy.ssh import Access, Remote, Target
from nerv.deploy.steps import Record
from nerv.deploy.trust import HostKey, Word
from nerv.deploy.waiting import Patience
from nerv.errors import NervError
from nerv.operations import host_keys
from nerv.operations.folder import PlatformFolder
from nerv.platform.models import Node


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    word: Word = field(default_factory=Word)
    access: Access = field(default_factory=Access)
    build_on: str = "local"
    more: tuple[str, ...] = ()
    """further arguments for nixos-anywhere"""
    patience: float = 1.0
    waits: Patience = field(default_factory=Patience)
    confirm: Callable[[str], bool] = lambda text: False
    """asks before anything is erased"""


def made_key(folder: PlatformFolder, platform: Platform, node: str) -> HostKey:
    """The host key that NERV made for a node. Raises NervError before `nerv render`."""
    line = host_keys.load(platform, folder.root).get(node)
    if line is None:
        raise NervError(f"{node} has no host key yet", "`nerv render` makes it")
    return HostKey.parse(line)


@dataclass
class Deploy:
    """One node's deploy: what all its steps know."""

    folder: PlatformFolder
    platform: Platform
    node: Node
    target: Target
    record: Record
    options: Options
    say: Callable[[str], None]
    remote_checks: Callable[[], Awaitable[list[Finding]]] | None = None
    """what the repository's host says (token scopes), where it can be asked"""
    confirmed: bool = False
    host_files: Callable[[str, str], AbstractContextManager[Path]] = host_keys.extra_files

    @property
    def work(self) -> Path:
        """Folder of this deploy's files."""
        return self.folder.state / "deploy" / self.node.name

    @property
    def pasted_ssh(self) -> str:
        """The `ssh` that pins the host key, for commands to paste into a shell in the platform's folder."""
        return f"{self.folder.state.name}/deploy/{self.node.name}/bin/ssh"

    @property
    def log(self) -> Path:
        """Everything that nixos-anywhere and Nix have said."""
        return self.work / "log"

    @property
    def first(self) -> bool:
        """Whether this node starts the cluster."""
        return self.node == self.platform.spec.servers[0]

    @property
    def made_key(self) -> HostKey:
        """The host key that NERV made for the node. Raises NervError before `nerv render`."""
        return made_key(self.folder, self.platform, self.node.name)

    @property
    def installer_target(self) -> Target:
        """The machine while the installer runs: root, port 22, the same address."""
        return Target(self.target.host)

    @property
    def new_target(self) -> Target:
        """The machine after its installation: root, port 22, the address of the definition."""
        return Target(str(self.node.address))

    @property
    def flake(self) -> str:
        return f"git+file://{self.folder.root}?dir=nixos"

    @property
    def waits(self) -> Patience:
        return self.options.waits.stretched(self.options.patience)

    @property
    def old_key(self) -> HostKey:
        """The host key before the installation. The installer keeps it: kexec takes it along."""
        return HostKey.parse(self.record.host_key)

    def old_system(self) -> Remote:
        """What is there before."""
        return Remote(self.target, [self.old_key], self.options.access)

    def installer(self) -> Remote:
        """The installer."""
        return Remote(self.installer_target, [self.old_key], self.options.access)

    def new_system(self) -> Remote:
        """The installed machine."""
        return Remote(self.new_target, [self.made_key], Access(self.options.access.identity))

    def confirm(self) -> None:
        """Ask once before anything is erased. Raises NervError without a yes."""
        if self.confirmed:
            return
        disks = ", ".join(disk.device for disk in self.node.disks)
        text = f"Everything on {disks} of {self.target} will be erased, to become {self.node.name}."
        if not self.options.confirm(text):
            raise NervError("nothing was erased", "confirm with the node's name, or add --yes")
        self.confirmed = True
