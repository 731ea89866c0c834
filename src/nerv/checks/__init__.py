"""Offline proof: functions (platform, repository) -> problems, in one ordered tuple.

Belongs here: what can be shown wrong without a cluster. Not: repairing it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nerv.checks import custom_resources, flux, kustomizations, namespaces, network, routes, secrets
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem

Check = Callable[[Platform, Repository], Iterable[Problem]]


def _machines(platform: Platform, repository: Repository) -> Iterable[Problem]:
    """Hosts of the flake, and rules over them."""
    from nerv.checks.nixos import proof  # Nix and its options: only checking needs them, `nerv up` does not

    return proof.hosts(platform, repository)


CHECKS: tuple[Check, ...] = (
    secrets.plaintext,
    secrets.encrypted,
    secrets.recipients,
    secrets.private_keys,
    kustomizations.references,
    kustomizations.unlisted,
    flux.references,
    flux.decryption,
    flux.chart_values,
    flux.dependencies,
    custom_resources.order,
    custom_resources.fields,
    namespaces.known,
    namespaces.pod_security,
    routes.references,
    network.reachable,
    _machines,
)


def run(platform: Platform, repository: Repository) -> list[Problem]:
    """Every problem of the repository, sorted by place; those of the text itself first."""
    found = set(repository.problems)
    for check in CHECKS:
        found.update(check(platform, repository))
    return sorted(found)
