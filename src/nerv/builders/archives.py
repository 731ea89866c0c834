"""Unpacking tar archives: folders and regular files, never out of the folder that they belong in.

`tarfile` can do that itself since Python 3.11.4; Debian 12 has 3.11.2.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath


def unpack(members: tarfile.TarFile, target: Path) -> None:
    """Write the archive's folders and regular files below `target`; links and devices are left out.

    Raises tarfile.TarError for a name that leads out of it.
    """
    for member in members:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise tarfile.TarError(f"{member.name!r} leads out of the archive's folder")
        path = target / name
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.isfile():
            path.parent.mkdir(parents=True, exist_ok=True)
            content = members.extractfile(member)
            assert content is not None
            with path.open("wb") as written:
                shutil.copyfileobj(content, written)
