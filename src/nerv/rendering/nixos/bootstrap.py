"""modules/flux-bootstrap.nix: the unit on the first server that hands the cluster over to Flux.

The work is done by one script, data/flux-bootstrap.sh; it takes every path by its environment, so it runs anywhere.
"""

from __future__ import annotations

from importlib import resources as package

from nerv.components.catalog import Platform
from nerv.nix.expressions import Expression, Path, attributes, call, name
from nerv.rendering import headers
from nerv.rendering.nixos.modules import FOLDER, module, option, secret

UNIT = "flux-bootstrap"
AGE_SECRET = "flux-sops-age"
GIT_LOGIN = "flux-git-login"
SCRIPT = f"{FOLDER}/modules/{UNIT}.sh"
_FOLDER = "nerv/flux-system"

# Nothing that waiting could help: a secret is missing or empty. sops-nix starts the unit again when it is there.
CANNOT = 78


def script() -> str:
    """The script, as it stands beside the module."""
    text = (package.files(__package__) / "data" / f"{UNIT}.sh").read_text(encoding="utf-8")
    first, rest = text.split("\n", 1)
    return f"{first}\n{headers.GENERATED}{rest}"


def text(platform: Platform) -> str:
    """The module."""
    system = f"../../{platform.cluster_path}/flux-system"
    secrets = {found: {"restartUnits": [f"{UNIT}.service"]} for found in (AGE_SECRET, GIT_LOGIN)}
    return module(
        "Hands the cluster over to Flux, which reconciles the repository from then on.",
        [
            option("sops.secrets", secrets),
            option("environment.etc", {_FOLDER: {"source": Path(system)}}, "What Flux is, as the repository has it."),
            option(f"systemd.services.{UNIT}", service(platform)),
        ],
    )


def service(platform: Platform) -> dict[str, object]:
    """The unit, in the words of systemd.services."""
    return {
        "description": "Hand the cluster over to Flux",
        "wantedBy": ["multi-user.target"],
        # not `requires`: the script itself waits, and says for what
        "wants": ["k3s.service", "network-online.target"],
        "after": ["k3s.service", "network-online.target"],
        # both belong to [Unit]: in [Service] systemd ignores them
        "startLimitIntervalSec": 3600,
        "startLimitBurst": 10,
        "environment": {
            "KUBECONFIG": "/etc/rancher/k3s/k3s.yaml",
            "FLUX_SYSTEM": f"/etc/{_FOLDER}",
            "FLUX_AGE_SECRET": secret(AGE_SECRET),
            "FLUX_GIT_LOGIN": secret(GIT_LOGIN),
            "FLUX_GIT_LOGIN_KEYS": " ".join(login_keys(platform)),
            "HOME": "/tmp",
        },
        "serviceConfig": {
            "Type": "oneshot",
            "RemainAfterExit": True,
            "ExecStart": _program(),
            "Restart": "on-failure",
            "RestartSec": "30s",
            "RestartPreventExitStatus": CANNOT,
            "TimeoutStartSec": "30min",
            "NoNewPrivileges": True,
            "PrivateDevices": True,
            "PrivateTmp": True,
            "ProtectControlGroups": True,
            "ProtectHome": True,
            "ProtectKernelModules": True,
            "ProtectKernelTunables": True,
            "ProtectSystem": "full",
            "RestrictAddressFamilies": ["AF_INET", "AF_INET6", "AF_UNIX"],
        },
    }


def login_keys(platform: Platform) -> tuple[str, ...]:
    """Keys of the Git login that must not be empty."""
    if platform.spec.repository.login == "token":
        return ("username", "password")
    return ("identity", "known_hosts")


def _program() -> Expression:
    application = attributes(
        {
            "name": UNIT,
            "runtimeInputs": (
                name("config.services.k3s.package"),
                name("pkgs.coreutils"),
                name("pkgs.fluxcd"),
                name("pkgs.gawk"),
            ),
            "text": call(name("builtins.readFile"), Path(f"./{UNIT}.sh")),
        }
    )
    return call(name("lib.getExe"), call(name("pkgs.writeShellApplication"), application))
