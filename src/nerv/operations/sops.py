"""The real sops, which writes every encrypted file.

It works in a private folder with rules of its own, so that neither the folder NERV was called in nor an interrupted run
has a say in the result. Secrets go to it on its standard input, keys in its environment; its arguments are paths and
public keys.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerv import documents, process
from nerv.errors import NervError, ProcessError
from nerv.rendering import secrets
from nerv.rendering.secrets import Group

# sops's exit code when the editor changed nothing
_UNCHANGED = 200
# Flags that sops takes from the environment too: readers that no rule names.
_NO_READERS = dict.fromkeys(
    ("SOPS_AGE_RECIPIENTS", "SOPS_PGP_FP", "SOPS_KMS_ARN", "SOPS_GCP_KMS_IDS", "SOPS_AZURE_KEYVAULT_URLS"), ""
)


def program() -> str:
    """Path of sops: the one beside this Python (it comes with NERV), else the one on PATH."""
    beside = Path(sys.executable).parent / "sops"
    return str(beside) if beside.exists() else shutil.which("sops") or "sops"


@contextmanager
def bench(groups: Iterable[Group]) -> Iterator[Bench]:
    """A place to make encrypted files under the rules of `groups`; it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="nerv-sops-"))
    try:
        (folder / secrets.RULES_FILE).write_text(secrets.rules(groups), encoding="utf-8")
        yield Bench(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Bench:
    """sops in its private folder. Files are given and returned as text; calls may run side by side."""

    folder: Path

    async def encrypt(self, path: str, document: Mapping[str, Any]) -> str:
        """What belongs at `path`, encrypted for those who may read it there. Raises NervError."""
        command = [program(), "encrypt", "--filename-override", path]
        return await self._run(path, command, documents.dump(document).encode(), {})

    async def add_readers(self, path: str, text: str, keys: Mapping[str, str]) -> str:
        """The file for the readers of its rule; its values stay as they are. Raises NervError."""
        return await self._changed(path, text, ["updatekeys", "--yes"], keys)

    async def renew(self, path: str, text: str, keys: Mapping[str, str], recipients: Iterable[str]) -> str:
        """The file under a new data key, for exactly these readers. Raises NervError."""
        before, after = recipients_in(text, path), tuple(recipients)
        options = [
            *_listed("--add-age", (recipient for recipient in after if recipient not in before)),
            *_listed("--rm-age", (recipient for recipient in before if recipient not in after)),
        ]
        return await self._changed(path, text, ["rotate", "--in-place", *options], keys)

    async def set(self, path: str, text: str, key: str, value: str, keys: Mapping[str, str]) -> str:
        """The file with another value at the top-level `key`. Raises NervError."""
        index = documents.dump_json([key]).decode()
        return await self._changed(path, text, ["set", "--value-stdin"], keys, (index,), documents.dump_json(value))

    async def _changed(
        self,
        path: str,
        text: str,
        command: list[str],
        keys: Mapping[str, str],
        after: tuple[str, ...] = (),
        given: bytes = b"",
    ) -> str:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        await self._run(path, [program(), *command, path, *after], given, keys)
        return file.read_text(encoding="utf-8")

    async def _run(self, path: str, command: list[str], given: bytes, keys: Mapping[str, str]) -> str:
        try:
            done = await process.run(command, cwd=self.folder, env={**_NO_READERS, **keys}, input=given)
        except ProcessError as error:
            said = next((line for line in error.output.splitlines() if line.strip()), "no output")
            raise NervError(f"sops cannot write {path}: {said.strip()}", "`nerv secrets check` says more") from None
        return done.stdout


def edit(root: Path, path: str, keys: Mapping[str, str]) -> int:
    """Open a file of the repository in the user's editor, by the rules that stand there. Returns sops's exit code, 0
    where nothing was changed."""
    done = process.foreground([program(), "edit", path], cwd=root, env=keys)
    return 0 if done == _UNCHANGED else done


def recipients_in(text: str | bytes, path: str) -> tuple[str, ...]:
    """Who can open the encrypted file. Raises NervError for a file that sops did not write."""
    try:
        read = documents.load(text)
        return tuple(str(entry["recipient"]) for entry in read["sops"]["age"])
    except (documents.DocumentError, TypeError, KeyError):
        hint = (
            "encrypt it: `sops encrypt --in-place FILE`; where NERV made it, remove it and `nerv render` makes another"
        )
        raise NervError(f"{path} is not encrypted by sops for age keys", hint) from None


def _listed(option: str, recipients: Iterable[str]) -> list[str]:
    found = ",".join(recipients)
    return [option, found] if found else []
