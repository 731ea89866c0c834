"""Making a platform's folder: definition, rendered files, encrypted secrets, Git repository with a first commit.

Every step is left out where its result is there, so a folder with a definition alone is completed and a complete one
stays as it is. A new folder appears whole or not at all.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from nerv import process
from nerv.components import definition
from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations import keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.rendering import manifest, template

Say = Callable[[str], object]

_IGNORED = ".nerv/"


async def create(root: Path, *, say: Say = lambda _: None) -> PlatformFolder:
    """Make or complete the platform in `root`; `say` is told what was done. Raises NervError, ProblemsError."""
    if shutil.which("git") is None:
        raise NervError("Git is not installed", "Debian: apt-get install git")
    root = root.absolute()
    if root.exists() and not root.is_dir():
        raise NervError(f"{root} is not a folder", "choose another name")
    if root.exists() and any(root.iterdir()):
        await _complete(root, root, say)
        return PlatformFolder(root.resolve())
    _name(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    except OSError as error:
        hint = "choose a folder that you may write to"
        raise NervError(f"{root.parent} cannot be written: {error.strerror}", hint) from None
    try:
        made.chmod(0o755)
        await _complete(made, root, say)
        made.replace(root)
    except OSError as error:
        raise NervError(f"{root} cannot be made: {error.strerror}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return PlatformFolder(root.resolve())


async def _complete(root: Path, shown: Path, say: Say) -> None:
    """Make what is missing in `root`, which the user knows as `shown`."""
    folder = PlatformFolder(root)
    if not folder.definition.exists():
        _write_definition(folder, _name(shown))
        say(f"wrote {shown / folders.DEFINITION}")
    name = definition.load(folder.definition).name
    if not (root / manifest.FILE).exists():
        new_keys = keys.load(name) is None
        rendered = await rendering.render(folder)
        if new_keys:
            say(f"made age keys, host keys and a password in {keys.folder_for(name)}; keep a backup of them")
        say(f"rendered {len(rendered.written)} files, encrypted {len(rendered.encrypted)}")
    if not (root / ".git").exists():
        await _commit(root, definition.load(folder.definition).spec.repository.branch, shown, say)


def _write_definition(folder: PlatformFolder, name: str) -> None:
    text = template.definition(name)
    definition.parse(text.encode())
    try:
        folder.definition.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "choose a folder that you may write to"
        raise NervError(f"{folder.definition} cannot be written: {error.strerror}", hint) from None


def _name(root: Path) -> str:
    """The platform's name by its folder's. Raises NervError when no name can be made of it."""
    name = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower()).strip("-")[:63].strip("-")
    if not name:
        raise NervError(f"no platform can be named after the folder `{root.name}`", "use letters and digits")
    return name


async def _commit(root: Path, branch: str, shown: Path, say: Say) -> None:
    _ignore_state(root)
    await _git(root, "init", "--quiet", f"--initial-branch={branch}")
    if not await _has_identity(root):
        await _git(root, "config", "user.name", "NERV operator")
        await _git(root, "config", "user.email", "operator@nerv.invalid")
        say(f"Git knows no identity here, so {shown} commits as NERV operator (`git config user.name` changes it)")
    await _git(root, "add", "--all")
    await _git(root, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "Platform as rendered by NERV")
    say(f"made a Git repository in {shown}, branch {branch}, with a first commit")


def _ignore_state(root: Path) -> None:
    path = root / ".gitignore"
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    if _IGNORED not in known.splitlines():
        path.write_text(
            f"{known}{'' if not known or known.endswith(chr(10)) else chr(10)}{_IGNORED}\n", encoding="utf-8"
        )


async def _has_identity(root: Path) -> bool:
    done = [
        await process.run(["git", "-C", str(root), "config", key], check=False) for key in ("user.name", "user.email")
    ]
    return all(one.code == 0 and one.stdout.strip() for one in done)


async def _git(root: Path, *arguments: str) -> None:
    await process.run(["git", "-C", str(root), *arguments])
