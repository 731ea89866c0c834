"""systemd units: directives that systemd ignores where they stand, and units that do not exist."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.checks.nixos.flake import Flake, Host
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem

_UNIT = (
    *("After", "Before", "Requires", "Wants", "BindsTo", "PartOf", "Conflicts", "Description", "Documentation"),
    *("OnFailure", "OnSuccess", "DefaultDependencies", "RequiresMountsFor", "PropagatesReloadTo"),
)
_INSTALL = ("WantedBy", "RequiredBy", "Alias", "Also")


def directives(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Directives of other sections inside serviceConfig: systemd warns in its log and does without them."""
    for host in flake.hosts:
        for service in host.members("systemd.services"):
            path = f"systemd.services.{service}"
            for name in host.members(f"{path}.serviceConfig"):
                hint = _belongs(name)
                if hint:
                    yield host.problem(
                        f"{path}.serviceConfig.{name}",
                        f"{path}.serviceConfig.{name} is no directive of [Service]: systemd ignores it",
                        hint,
                    )


def _belongs(name: str) -> str:
    if name.startswith("StartLimit"):
        return "use startLimitIntervalSec and startLimitBurst of the service itself, which stand in [Unit]"
    if name in _UNIT or name.startswith(("Condition", "Assert")):
        return "it belongs into unitConfig, or has an option of the service itself"
    return "the option wantedBy of the service itself says it" if name in _INSTALL else ""


def secrets_unit(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Services that require sops-nix's unit where secrets are installed before any unit starts."""
    for host in flake.hosts:
        if host.get("sops.useSystemdActivation") is True:
            continue
        for service in host.members("systemd.services"):
            yield from _requiring(host, f"systemd.services.{service}")


def _requiring(host: Host, path: str) -> Iterator[Problem]:
    for kind in ("requires", "bindsTo", "requisite"):
        if "sops-install-secrets.service" in host.items(f"{path}.{kind}"):
            said = f"{path}.{kind} names sops-install-secrets.service, which does not exist: secrets are there already"
            yield host.problem(f"{path}.{kind}", said, "leave it out")
