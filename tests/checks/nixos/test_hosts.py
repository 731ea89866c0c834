"""Hosts of a repository that is right but for one module: what is found, line by line, and that real Nix agrees.

good/*.nix and bad/*.nix are modules as users write them; each is put at nixos/modules/case.nix and imported by the one
host of a rendered platform. What is to be found stands beside it in a .txt (NERV_UPDATE_GOLDEN=1 writes it).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.support import golden
from tests.support.nix import evaluated, needs_nix
from tests.support.trees import platform, seen, whole

from nerv.checks.nixos import flake as flakes
from nerv.checks.nixos import proof
from nerv.checks.nixos.report import Report
from nerv.nix import coercion
from nerv.nix.values import EvaluationError
from nerv.rendering.folders import Tree

HERE = Path(__file__).parent
HOST = "nixos/hosts/nerv-1.nix"
CASE = "nixos/modules/case.nix"
PLATFORM = platform()
CASES = sorted(path for folder in ("good", "bad") for path in (HERE / folder).glob("*.nix"))
PART = "{ lib, ... }: { imports = [ ../parts ]; services.logrotate.enable = lib.mkDefault false; }\n"


def case(path: Path) -> Tree:
    """The repository with a case's module."""
    files = whole(PLATFORM)
    old = "../modules/base.nix"
    assert old in files[HOST]
    files[HOST] = files[HOST].replace(old, f"{old}\n    ../modules/case.nix", 1)
    files[CASE] = path.read_text(encoding="utf-8")
    if "./parts" in files[CASE]:
        files["nixos/modules/parts/default.nix"] = PART
    if "nixos-hardware" in files[CASE]:
        flake = "nixos/flake.nix"
        files[flake] = files[flake].replace("inputs = {", 'inputs = {\n    nixos-hardware.url = "path:../hardware";', 1)
        lock = json.loads(files["nixos/flake.lock"])
        lock["nodes"]["root"]["inputs"]["nixos-hardware"] = "nixos-hardware"
        lock["nodes"]["nixos-hardware"] = {"locked": {"type": "path", "narHash": "sha256-x"}}
        files["nixos/flake.lock"] = json.dumps(lock)
    return files


def found(files: Tree) -> list[str]:
    """Findings about the machines; those that are no errors say so."""
    problems = sorted(proof.hosts(PLATFORM, seen(files)))
    lines = [f"{problem}" if problem.severity == "error" else f"{problem.severity}: {problem}" for problem in problems]
    # where in a rendered file is no matter here
    return [re.sub(r"(nixos/(?!modules/case)[^: ]+\.nix):\d+(:\d+)?", r"\1", line) for line in lines]


def test_a_rendered_repository_has_nothing_wrong() -> None:
    assert found(whole(PLATFORM)) == []


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_found_in_a_module(path: Path) -> None:
    lines = found(case(path))
    golden.check_text(path.with_suffix(".txt"), "".join(f"{line}\n" for line in lines))
    assert bool([line for line in lines if not line.startswith("note: ")]) == (path.parent.name == "bad")


# What modules are merged into, wherever it was said: lists in their order, and values by their priority.
VALUES = (
    *("services.k3s.extraFlags", "services.journald.extraConfig", "networking.firewall.allowedTCPPorts"),
    *("boot.kernel.sysctl", "boot.kernelModules", "environment.etc.motd.text", "system.stateVersion", "fileSystems"),
    *("users.users.ada.extraGroups", "systemd.tmpfiles.rules", "home.monitoring.checks.slow.every"),
    *("systemd.services.check-slow.script", "systemd.services.check-slow.startAt"),
)


@needs_nix
def test_real_nix_merges_to_the_same_values(tmp_path: Path) -> None:
    files = case(HERE / "good" / "ordinary.nix")
    theirs = evaluated(files, tmp_path, VALUES)["nerv-1"]
    assert theirs["errors"] == []
    host = flakes.evaluate(files, Report(), "25.05").hosts[0]
    mine = {name: coercion.plain(host.get(name)) for name in VALUES}
    assert without_hashes(mine) == without_hashes(theirs["values"])


def without_hashes(values: dict[str, object]) -> dict[str, object]:
    """Hashes of store paths are made up on either side, and secrets' paths are known on this one alone."""
    made = re.compile(r"/nix/store/\w{32}|/run/secrets/[a-z0-9-]+|/unmodelled/[a-z0-9.-]+")
    return {name: json.loads(made.sub("", json.dumps(value))) for name, value in values.items()}


OPTION_ERRORS = ("does not exist", "is not of type", "is set to different values", "is a group of options")


def options_named(messages: Iterable[str]) -> set[str]:
    """What is said of which option, from messages that begin with it."""
    plain = (re.sub(r"\[(\d+)\] ", r".\1 ", line).replace('"', "") for line in messages)
    return {f"{line.partition(said)[0]}{said}" for line in plain for said in OPTION_ERRORS if f" {said}" in line}


@needs_nix
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_nix_finds_the_same_options_wrong(path: Path, tmp_path: Path) -> None:
    """A module system written in Nix, run by nix-instantiate over the same files: the same options, or no value."""
    files, report = case(path), Report()
    flakes.evaluate(files, report, "25.05")
    messages = [problem.message for problem in report.found if problem.severity == "error"]
    unevaluated = len(options_named(messages)) < len(messages) or any(p.severity == "note" for p in report.found)
    outside = {line for p in report.found if (line := options_outside(p.message))}
    if outside:
        # to that module system everything outside its table does not exist; it looks no further
        with contextlib.suppress(EvaluationError):
            assert outside <= options_named(evaluated(files, tmp_path)["nerv-1"]["errors"])
    elif unevaluated:
        with pytest.raises(EvaluationError):
            evaluated(files, tmp_path)
    else:
        assert options_named(evaluated(files, tmp_path)["nerv-1"]["errors"]) == options_named(messages)


def options_outside(message: str) -> str:
    """What real Nix with the same table says of an option that a note says is outside of it."""
    found = re.fullmatch(r"not evaluated: (\S+) is in no table that NERV has of NixOS's options", message)
    return f"{found[1]} does not exist" if found else ""
