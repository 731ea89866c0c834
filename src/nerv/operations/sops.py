"""Encrypted files of a repository, written by the real sops. Secrets go to it on its standard input alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from nerv import documents, process
from nerv.components.objects import Object
from nerv.errors import NervError, ProcessError
from nerv.operations.keys import Keys

_ENCRYPTED = "^(data|stringData)$"


def program() -> str:
    """Path of sops: the one beside this Python (it comes with NERV), else the one on PATH."""
    beside = Path(sys.executable).parent / "sops"
    return str(beside) if beside.exists() else shutil.which("sops") or "sops"


async def encrypt(secret: Object, recipients: Iterable[str]) -> str:
    """The encrypted text of `secret`. Raises ProcessError, NervError."""
    command = [
        program(),
        "encrypt",
        "--age",
        ",".join(recipients),
        "--encrypted-regex",
        _ENCRYPTED,
        "--filename-override",
        "secret.sops.yaml",
    ]
    done = await process.run(command, input=documents.dump(secret).encode())
    return done.stdout


def recipients(path: Path) -> tuple[str, ...]:
    """Who can read the encrypted file. Raises NervError for a file that sops did not write."""
    try:
        read = documents.load(path.read_bytes())
        return tuple(str(entry["recipient"]) for entry in read["sops"]["age"])
    except (documents.DocumentError, TypeError, KeyError):
        raise NervError(f"{path} is not encrypted by sops", "remove it; `nerv render` writes a new one") from None
    except OSError as error:
        raise NervError(f"{path} cannot be read: {error.strerror}") from None


async def update_recipients(root: Path, path: str, keys: Keys) -> None:
    """Encrypt the file's key for the recipients of .sops.yaml. Raises NervError when the operator cannot read it."""
    command = [program(), "updatekeys", "--yes", path]
    try:
        await process.run(command, cwd=root, env={"SOPS_AGE_KEY_FILE": str(keys.operator_file)})
    except ProcessError as error:
        raise NervError(
            f"{path} cannot be encrypted for its new recipients: {error.output.splitlines()[-1]}",
            f"its key is not {keys.operator_file}; restore that key, or remove the file to have a new one made",
        ) from None
