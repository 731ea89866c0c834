"""nixos-rebuild: how it is called, and the known causes of its failures. It evaluates on the operator's machine always;
`remote` moves the building to the node itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from nerv.deploy import openssh
from nerv.deploy.ssh import Target
from nerv.deploy.watchdog import Phase
from nerv.errors import NervError
from nerv.platform import versions

PREPARING = Phase(
    "building and copying the new system",
    7200,
    "Nix builds, or several GB go over SSH; --build-on remote lets the machine build and download itself",
)
SWITCHING = Phase(
    "switching to the new system",
    900,
    "a unit does not start or stop: `systemctl list-jobs` on the machine says which",
)


def program() -> tuple[str, ...]:
    """How nixos-rebuild is called here: the one on PATH, else that of the pinned nixpkgs. Raises NervError."""
    if found := shutil.which("nixos-rebuild"):
        return (found,)
    if not shutil.which("nix"):
        raise NervError("neither `nixos-rebuild` nor `nix` is on PATH", "install Nix: https://nixos.org/download")
    return pinned()


def pinned() -> tuple[str, ...]:
    """That of the pinned nixpkgs."""
    reference = f"github:NixOS/nixpkgs/{versions.NIXPKGS.revision}#nixos-rebuild"
    return ("nix", "--extra-experimental-features", "nix-command flakes", "run", reference, "--")


def arguments(action: str, flake: str, node: str, target: Target, build_on: str) -> list[str]:
    """`action` is dry-activate (builds, copies, says which units would change), switch or boot."""
    # --fast: do not build nixos-rebuild itself first, which may be for another architecture
    made = [action, "--fast", "--flake", f"{flake}#{node}", "--target-host", target.login]
    return [*made, "--build-host", target.login] if build_on == "remote" else made


def environment(folder: Path, identity: Path | None) -> Mapping[str, str]:
    """Makes it (and `nix copy`) use the ssh that pins the host key."""
    options = [*openssh.options(folder), *(["-i", str(identity)] if identity else [])]
    return {**openssh.environment(folder), "NIX_SSHOPTS": " ".join(options)}
