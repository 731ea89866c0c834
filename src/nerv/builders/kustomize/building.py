"""From a folder of an artifact to objects.

    objects = await build(sources, "./apps", Overlay.of(spec), identities)

Plain kustomizations are built in process; one that transforms is built by the real kustomize in `kubectl kustomize`,
on a copy of the artifact into which the Flux Kustomization's own fields were merged, as kustomize-controller does it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nerv import documents, process
from nerv.builders import sops
from nerv.builders.kustomize import plain, references
from nerv.builders.kustomize.errors import BuildError
from nerv.builders.kustomize.overlay import Overlay, generate
from nerv.builders.kustomize.sources import Sources
from nerv.errors import NervError, ProcessError
from nerv.kube.objects import Object

_TIMEOUT = 120.0


async def build(
    sources: Sources, path: str, overlay: Overlay, identities: sops.Identities | None = None
) -> list[Object]:
    """The objects of the folder. Shared with other builds: never mutate them.

    `identities` open the encrypted files of secret generators; None leaves them as they are. Raises PathError when the
    folder is not there, BuildError with the words of kustomize for everything else.
    """
    folder = sources.folder(path)
    try:
        return await asyncio.to_thread(_build_plain, sources, folder, overlay)
    except plain.NotPlain:
        return await _build_really(sources, folder, overlay, identities)


def _build_plain(sources: Sources, folder: Path, overlay: Overlay) -> list[Object]:
    kustomization = _kustomization(sources, folder)
    if not overlay.empty:
        raise plain.NotPlain
    if "resources" not in kustomization and set(kustomization) <= {"apiVersion", "kind", "metadata", "namespace"}:
        return []
    return plain.build(sources, folder, kustomization)


def _kustomization(sources: Sources, folder: Path) -> Mapping[str, Any]:
    """The folder's kustomization, generated where there is none. Raises BuildError."""
    path = sources.kustomization(folder)
    if path is None:
        return generate(sources, folder)
    try:
        found = sources.documents(path)
    except documents.DocumentError as error:
        raise BuildError(f"{sources.name(path)}: yaml: {error.message}") from None
    if len(found) > 1 or (found and not isinstance(found[0], dict)):
        raise BuildError(f"{sources.name(path)}: a kustomization file holds one object")
    return found[0] if found else {}


async def _build_really(
    sources: Sources, folder: Path, overlay: Overlay, identities: sops.Identities | None
) -> list[Object]:
    kustomization = overlay.merged(_kustomization(sources, folder))
    involved = references.walk(sources, folder, kustomization)
    with tempfile.TemporaryDirectory(prefix="nerv-kustomize-") as name:
        copy = Path(name) / "artifact"
        await asyncio.to_thread(_prepare, sources, copy, folder, kustomization)
        if identities is not None:
            for place, content in involved:
                _decrypt_files(copy / place.relative_to(sources.root), content, identities)
        text = await _run(copy, copy / folder.relative_to(sources.root), Path(name))
    return [obj for obj in documents.load_all(text) if isinstance(obj, dict)]


def _prepare(sources: Sources, copy: Path, folder: Path, kustomization: Mapping[str, Any]) -> None:
    """A copy of the artifact with the merged kustomization in it. Files are linked: it costs next to nothing."""
    shutil.copytree(sources.root, copy, symlinks=True, copy_function=_link)
    existing = sources.kustomization(folder)
    target = copy / folder.relative_to(sources.root) / (existing.name if existing else "kustomization.yaml")
    _write(target, documents.dump(kustomization).encode())


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        # another file system, or one without hard links
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _write(path: Path, data: bytes) -> None:
    # never through the link, which would change the shared artifact
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _decrypt_files(folder: Path, kustomization: Mapping[str, Any], identities: sops.Identities) -> None:
    """Open the encrypted files that secret generators read. Raises BuildError."""
    for key, path, variables in references.secret_files(kustomization):
        target = folder / path
        if not target.is_file():
            continue  # kustomize itself says so
        data = target.read_bytes()
        if sops.detect(data) is None:
            continue
        kind = sops.format_of(path if variables else key)
        if variables and kind is sops.Format.BINARY:
            kind = sops.Format.DOTENV
        try:
            _write(target, sops.decrypt(data, identities, kind, verify=False))
        except sops.SopsError as error:
            raise BuildError(f"error decrypting sources: {error.message}") from None


async def _run(root: Path, folder: Path, home: Path) -> str:
    command = [str(kubectl()), "kustomize", str(folder), "--load-restrictor", "LoadRestrictionsNone"]
    try:
        done = await process.run(command, cwd=root, env={"HOME": str(home)}, timeout=_TIMEOUT)
    except ProcessError as error:
        why = error.output.removeprefix("error: ").replace(f"{root}/", "").replace(str(root), ".")
        raise BuildError(f"kustomize build failed: {why}") from None
    except NervError as error:
        raise BuildError(f"kustomize build failed: {error.message}") from None
    return done.stdout


def kubectl() -> Path:
    """The real kubectl: the one beside this Python, else the one on PATH. Raises BuildError."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if not found:
        raise BuildError("kustomize build failed: kubectl is not installed beside Python nor on PATH")
    return Path(found)
