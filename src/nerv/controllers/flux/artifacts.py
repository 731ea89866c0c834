"""Artifacts: what sources were fetched into, kept in one folder and named in the status of their objects.

An artifact of files is a deterministic tar.gz, as source-controller makes it; in this process nobody unpacks it: the
files stay unpacked beside it, once for all who build from that revision.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from nerv.builders import archives
from nerv.builders.kustomize import Sources
from nerv.controllers.runtime import Clock
from nerv.kube.objects import Object, timestamp

RECORDS = 2
"""Artifacts kept for each source, the present one included."""
TIME_TO_LIVE = 60.0
"""Seconds that an artifact outlives its successor at most."""


class Storage:
    """The folder of artifacts; `host` is the name under which they are advertised."""

    def __init__(self, folder: Path, host: str, clock: Clock) -> None:
        self._folder = folder
        self._host = host
        self._clock = clock
        self._sources: dict[tuple[str, str], Sources] = {}
        self._newest: dict[str, Sources] = {}
        self._verified: set[tuple[str, str]] = set()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path_of(self, artifact: Mapping[str, str]) -> Path:
        """Where the artifact's file is. Raises ValueError for a path that leads out of the folder."""
        path = (self._folder / "artifacts" / artifact["path"]).resolve()
        if (self._folder / "artifacts").resolve() not in path.parents:
            raise ValueError(f"artifact path {artifact['path']!r} leads out of the storage")
        return path

    def work_folder(self, kind: str, namespace: str, name: str) -> Path:
        """A folder of the source's own, for what it keeps between fetches."""
        path = self._folder / "work" / kind.lower() / namespace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def holds(self, artifact: Mapping[str, str]) -> bool:
        """Whether the artifact is here and what its digest says."""
        path = self.path_of(artifact)
        if not path.is_file():
            return False
        seen = (artifact["path"], artifact.get("digest", ""))
        if seen not in self._verified:
            if _digest(path.read_bytes()) != artifact.get("digest"):
                return False
            self._verified.add(seen)
        return True

    def store(
        self,
        kind: str,
        namespace: str,
        name: str,
        revision: str,
        file_name: str,
        data: bytes,
        metadata: Mapping[str, str] | None = None,
    ) -> Object:
        """Keep one file; the answer is what belongs in `status.artifact`."""
        digest = _digest(data)
        artifact: Object = {
            "path": f"{kind.lower()}/{namespace}/{name}/{file_name}",
            "revision": revision,
            "digest": digest,
            "lastUpdateTime": timestamp(self._clock.now()),
            "size": len(data),
        }
        artifact["url"] = f"http://{self._host}/{artifact['path']}"
        if metadata:
            artifact["metadata"] = dict(metadata)
        path = self.path_of(artifact)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        partial.write_bytes(data)
        partial.replace(path)
        self._verified.add((artifact["path"], digest))
        return artifact

    def store_files(self, kind: str, namespace: str, name: str, revision: str, file_name: str, files: Path) -> Object:
        """Keep the files below a folder, which is moved here; regular files alone. The answer as of `store`."""
        artifact = self.store(kind, namespace, name, revision, file_name, pack(files))
        target = self._unpacked(artifact)
        if target.exists():
            shutil.rmtree(files)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(files, target)
        return artifact

    def sources(self, artifact: Mapping[str, str]) -> Sources:
        """The artifact's files, unpacked and shared. Raises FileNotFoundError when the artifact is gone."""
        owner = artifact["path"].rpartition("/")[0]
        found = self._sources.get((owner, artifact["digest"]))
        if found is not None:
            return found
        target = self._unpacked(artifact)
        if not target.exists():
            _unpack(self.path_of(artifact), target)
        found = Sources(target, self._newest.get(owner))
        self._sources[owner, artifact["digest"]] = self._newest[owner] = found
        return found

    def collect(self, artifact: Mapping[str, str]) -> int:
        """Remove what the source stored before, but for what is young enough. Returns how many files went."""
        current = self.path_of(artifact)
        others = [path for path in current.parent.glob("*") if path.is_file() and path != current]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        limit = self._clock.now().timestamp() - TIME_TO_LIVE
        gone = [path for number, path in enumerate(others) if number >= RECORDS - 1 or path.stat().st_mtime < limit]
        for path in gone:
            path.unlink()
        if gone:
            self._tidy(artifact["path"].rpartition("/")[0])
        return len(gone)

    def remove_all(self, kind: str, namespace: str, name: str) -> None:
        """Remove everything of a source that is going away."""
        owner = f"{kind.lower()}/{namespace}/{name}"
        shutil.rmtree(self._folder / "artifacts" / owner, ignore_errors=True)
        shutil.rmtree(self.work_folder(kind, namespace, name), ignore_errors=True)
        self._tidy(owner)
        self._newest.pop(owner, None)

    def _tidy(self, owner: str) -> None:
        """Drop unpacked files and memories of artifacts that are gone; equal artifacts share theirs."""
        left = {_digest(path.read_bytes()) for path in (self._folder / "artifacts" / owner).glob("*") if path.is_file()}
        for folder in (self._folder / "unpacked" / owner).glob("*"):
            digest = f"sha256:{folder.name}"
            if digest not in left:
                self._sources.pop((owner, digest), None)
                shutil.rmtree(folder, ignore_errors=True)
        self._verified = {
            (path, digest) for path, digest in self._verified if path.rpartition("/")[0] != owner or digest in left
        }

    def _unpacked(self, artifact: Mapping[str, str]) -> Path:
        owner = artifact["path"].rpartition("/")[0]
        return self._folder / "unpacked" / owner / artifact["digest"].removeprefix("sha256:")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def pack(folder: Path) -> bytes:
    """The regular files below a folder as a tar.gz that depends on their names and contents alone."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o700
                archive.addfile(entry)
                continue
            data = path.read_bytes()
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)


def _unpack(archive: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tarfile.open(archive, "r:gz") as members:
        archives.unpack(members, partial)
    partial.replace(target)
