"""modules/secrets-*.nix: which secrets sops-nix puts on a machine, opened by its SSH host key alone."""

from __future__ import annotations

from nerv.nix.expressions import Path
from nerv.rendering.nixos import base, kubernetes
from nerv.rendering.nixos.modules import module, option


def text(role: str) -> str:
    """The module of the machines of a role."""
    names = {
        "server": (kubernetes.SERVER_TOKEN, kubernetes.AGENT_TOKEN),
        "agent": (kubernetes.AGENT_TOKEN,),
    }[role]
    return module(
        f"Secrets of {role}s: written to /run/secrets before any service starts.",
        [
            option("sops.defaultSopsFile", Path(f"../secrets/{role}s.sops.yaml")),
            option("sops.age.sshKeyPaths", [base.HOST_KEY], "The host key opens them; no other key is looked for."),
            option("sops.gnupg.sshKeyPaths", []),
            # K3s reads a token when it starts: a new one counts from then on
            option("sops.secrets", {name: {"restartUnits": ["k3s.service"]} for name in names}),
        ],
    )
