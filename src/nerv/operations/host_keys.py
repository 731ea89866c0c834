"""SSH host keys of nodes, made before the machines exist: secrets can be encrypted for a node that is not installed
yet, and the first login to it is no leap of faith.

    $XDG_CONFIG_HOME/nerv/<platform>/hosts/<node>/
      ssh_host_ed25519_key         private, 0600; `nerv deploy` puts it on the machine
      ssh_host_ed25519_key.next    only while the key is being replaced

What the repository says (`nixos/keys/<node>.pub`) is what counts: others see only that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from nerv.builders import sops
from nerv.components.catalog import Platform
from nerv.errors import NervError
from nerv.operations import keys
from nerv.operations.folder import write_private
from nerv.rendering import secrets

FILE = "ssh_host_ed25519_key"
_NEXT = f"{FILE}.next"


def load(platform: Platform, root: Path) -> dict[str, str]:
    """The public host key of every node that has one. Raises NervError where folder and repository do not agree."""
    found = {node.name: _public(platform.name, node.name, root) for node in platform.spec.nodes}
    return {node: line for node, line in found.items() if line is not None}


def create(platform: Platform, root: Path) -> dict[str, str]:
    """The public host key of every node, made where there is none. Raises NervError."""
    known = load(platform, root)
    for node in platform.spec.nodes:
        if node.name not in known:
            pem = generate()
            write_private(file_of(platform.name, node.name), pem)
            known[node.name] = public_line(pem, node.name)
    return known


def file_of(name: str, node: str) -> Path:
    """The private host key of a node in the folder of platform `name`."""
    return keys.folder_for(name) / "hosts" / node / FILE


def next_of(name: str, node: str) -> Path:
    """The key that is to replace it."""
    return file_of(name, node).with_name(_NEXT)


def generate() -> str:
    """A new private key as OpenSSH writes it, without passphrase."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_line(pem: str, node: str) -> str:
    """`ssh-ed25519 AAAA... node` of a private key. Raises SopsError for what is not an ed25519 key."""
    public = sops.ssh.private_key(pem).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return f"{public.decode()} {node}"


@contextmanager
def extra_files(name: str, node: str) -> Iterator[Path]:
    """A folder for `nixos-anywhere --extra-files`: the node's host key where sshd looks for it. Gone afterwards.

    Raises NervError when this operator has no private key of the node.
    """
    source = file_of(name, node)
    pem = _read(source)
    if pem is None:
        hint = "take it from who made it, or make a new one with `nerv secrets rotate host " + node + "`"
        raise NervError(f"the private host key of {node} is not here: {source} is missing", hint)
    folder = Path(tempfile.mkdtemp(prefix="nerv-host-key-"))  # 0700
    try:
        target = folder / "etc" / "ssh"
        target.mkdir(parents=True)
        for directory in (target, target.parent):
            directory.chmod(0o755)
        write_private(target / FILE, pem)
        public = target / f"{FILE}.pub"
        public.write_text(public_line(pem, f"root@{node}") + "\n", encoding="utf-8")
        public.chmod(0o644)
        yield folder
    finally:
        shutil.rmtree(folder)


def _public(name: str, node: str, root: Path) -> str | None:
    """A node's public key: the repository's, which must be one of those here where there are any. A replacement that
    was begun goes on."""
    committed = _committed(root / secrets.key_file(node))
    own = {}
    for path in (next_of(name, node), file_of(name, node)):
        pem = _read(path)
        if pem is not None:
            own[path] = _line(path, pem, node)
    if committed is None:
        return next(iter(own.values()), None)
    if own and not any(_same(committed, line) for line in own.values()):
        raise NervError(
            f"{root / secrets.key_file(node)} is not the key in {file_of(name, node)}",
            "where it was replaced elsewhere, remove yours; else take the file from Git",
        )
    return own.get(next_of(name, node), committed)


def _committed(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
        sops.ssh.recipient(text)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, sops.SopsError) as error:
        said = error.message if isinstance(error, NervError) else "not readable"
        raise NervError(f"{path}: {said}", "take it from Git, or remove it to have a new key made") from None
    return text


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise NervError(f"{path} cannot be read", "restore it from your backup") from None


def _line(path: Path, pem: str, node: str) -> str:
    try:
        return public_line(pem, node)
    except sops.SopsError as error:
        raise NervError(f"{path}: {error.message}", "restore it from your backup") from None


def _same(one: str, other: str) -> bool:
    """Whether two lines name one key: comments do not count."""
    return one.split(" ")[:2] == other.split(" ")[:2]
