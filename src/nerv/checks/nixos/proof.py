"""All that is known of the machines without a machine: one evaluation of the flake, and the rules over it in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nerv.checks.nixos import flake as flakes
from nerv.checks.nixos.flake import FLAKE, Flake
from nerv.checks.nixos.report import Report
from nerv.checks.nixos.rules import access, disks, kubernetes, lock, machines, secrets, units
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.nix.evaluate import deep

Rule = Callable[[Platform, Flake, Repository], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    machines.defined,
    machines.unused,
    machines.assertions,
    lock.agreement,
    lock.buildable,
    kubernetes.clusters,
    access.lockout,
    units.directives,
    units.secrets_unit,
    secrets.in_store,
    secrets.token_files,
    secrets.whole_keys,
    secrets.readable,
    disks.declared,
    disks.booting,
    disks.initiators,
    disks.shared_address,
)


def hosts(platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Findings about the flake and its hosts; none where the repository has no flake."""
    if FLAKE not in repository.files:
        return
    report = Report()
    flake = flakes.evaluate(repository.files, report, platform.spec.nixos.version)
    yield from report.found
    with deep():
        for rule in RULES:
            yield from rule(platform, flake, repository)
