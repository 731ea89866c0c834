"""A container made to fit a pod that shares this machine's network: arguments, environment, mounts, a kubeconfig.

Where there are no mount namespaces either, a folder of links stands for its file system: every mount is a link at its
path below it, and the paths in arguments and environment lead there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nerv import documents
from nerv.node import rewriting
from nerv.node.processes import ContainerSpec, StartError
from nerv.node.programs import ProcessProgram
from nerv.node.rewriting import SERVICE_ACCOUNT
from nerv.node.rootfs import Mount

_KUBECONFIG = "/run/nerv/kubeconfig"
_RESOLVER = "/etc/resolv.conf"
_MACHINES = ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname")
"""Files that stay the machine's where nothing can be mounted."""
_CANNOT = 128


def fit(spec: ContainerSpec, program: ProcessProgram, namespace: str, folder: Path) -> tuple[ContainerSpec, str]:
    """The container as it is started here, and what was rewritten. `folder` is its own. Raises StartError."""
    local = spec.network.local
    if local is None:
        return spec, ""
    if program.rewrites is None:
        name = Path(program.command[0]).name
        raise StartError(
            f"{name} cannot be told where to listen: it runs with network driver `namespaces` alone", _CANNOT
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mounts = _mounts(spec.mounts, folder)
    has_token = any(mount.target.rstrip("/") == SERVICE_ACCOUNT for mount in spec.mounts)
    kubeconfig = _KUBECONFIG if has_token else ""
    text = documents.dump(rewriting.kubeconfig(local, namespace)) if has_token else ""
    own = len(program.command)
    words, changes = rewriting.arguments(spec.command[own:], program.rewrites, local, kubeconfig)
    environment = rewriting.variables(spec.environment, local, kubeconfig)
    fitted = replace(spec, command=(*program.command, *words), environment=environment, mounts=mounts)
    if has_token:
        file = folder / "kubeconfig"
        fitted = replace(fitted, mounts=(*mounts, Mount(str(file), _KUBECONFIG, read_only=True)))
        _write(file, text)
    if local.isolation == "none":
        fitted = _without_mounts(fitted, own, folder)
        if has_token:
            _write(file, rewriting.replacer(fitted.paths)(text))
        pairs = zip(words, fitted.command[own:], strict=True)
        changes = (*changes, *(f"{word} -> {real}" for word, real in pairs if word != real))
    return fitted, "; ".join(changes)


def _mounts(mounts: Sequence[Mount], folder: Path) -> tuple[Mount, ...]:
    """No resolver: cluster names are resolved by the proxy, and nobody answers at the cluster's DNS address here."""
    empty = folder / "resolv.conf"
    empty.write_text("")
    return tuple(Mount(str(empty), _RESOLVER, True) if mount.target == _RESOLVER else mount for mount in mounts)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _without_mounts(spec: ContainerSpec, own: int, folder: Path) -> ContainerSpec:
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    paths = _link(root, [mount for mount in spec.mounts if mount.target not in _MACHINES], folder)
    real = rewriting.replacer(paths)
    temporary = folder / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    environment = {name: real(value) for name, value in spec.environment.items()}
    environment = {"TMPDIR": str(temporary), **environment}
    environment["HOME"] = str(root)
    working = str(root) if spec.working_folder == "/" else real(spec.working_folder)
    command = (*spec.command[:own], *(real(word) for word in spec.command[own:]))
    return replace(spec, command=command, environment=environment, mounts=(), paths=paths, working_folder=working)


def _link(root: Path, mounts: Sequence[Mount], folder: Path) -> tuple[tuple[str, str], ...]:
    """A link below `root` for every mount, the shortest paths first: one may lie in another. Raises StartError."""
    root.mkdir(mode=0o700, parents=True)
    paths = []
    for number, mount in enumerate(sorted(mounts, key=lambda each: each.target.rstrip("/").count("/"))):
        target = mount.target.rstrip("/")
        source = Path(mount.source)
        if mount.source == "tmpfs":
            source = folder / f"memory-{number}"
            source.mkdir(mode=0o700, exist_ok=True)
        place = root / target.lstrip("/")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(source)
        except OSError as error:
            raise StartError(
                f"{target} cannot be mounted inside another mount here: {error.strerror}", _CANNOT
            ) from None
        paths.append((target, str(place)))
    return tuple(paths)
