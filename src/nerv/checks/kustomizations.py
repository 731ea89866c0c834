"""kustomization.yaml files list what is there, and everything that is there is listed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from nerv.checks.repository import KUSTOMIZATION_FILES, Repository, normal, resources
from nerv.components.catalog import Platform
from nerv.errors import Problem


def references(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Files and folders that are listed and missing."""
    for folder, listed in repository.kustomizations.items():
        for resource in resources(listed):
            path = normal(posixpath.join(folder, resource))
            if path in repository.files or path in repository.kustomizations:
                continue
            is_folder = any(file.startswith(f"{path}/") for file in repository.files)
            said = f"`{resource}` has no kustomization.yaml" if is_folder else f"`{resource}` does not exist"
            yield Problem(_file(repository, folder), 0, 0, said, "Flux would apply nothing of this folder")


def unlisted(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Objects beside a kustomization.yaml that does not list them: Flux never applies those."""
    for located in dict.fromkeys(located.file for located in repository.objects):
        folder = posixpath.dirname(located)
        listed = repository.kustomizations.get(folder)
        if listed is None or located in {normal(posixpath.join(folder, item)) for item in resources(listed)}:
            continue
        used = str(listed)
        if posixpath.basename(located) not in used:  # patches and the like are used in other fields
            hint = f"add it to {_file(repository, folder)}, or move it elsewhere"
            yield Problem(located, 0, 0, "is not listed in kustomization.yaml, so Flux never applies it", hint)


def _file(repository: Repository, folder: str) -> str:
    return next(path for name in KUSTOMIZATION_FILES if (path := posixpath.join(folder, name)) in repository.files)
