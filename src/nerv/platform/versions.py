"""Every pin of the platform in one place: charts, images, Flux, K3s, NixOS.

Raising a version is a change here and a run of the tests; rooms and rendering read these and name no version of
their own. Image tags follow the charts' own `appVersion` unless a comment says why not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NERV_IMAGE = "ghcr.io/nerv-platform/nerv:v0.1.0"


@dataclass(frozen=True)
class Input:
    """An input of the flake, pinned: what flake.nix names and what flake.lock holds of it."""

    owner: str
    repository: str
    reference: str
    """Branch, tag or revision in the URL."""
    revision: str
    nar_hash: str
    last_modified: int


@dataclass(frozen=True)
class Chart:
    """A Helm chart: repository URL, name and exact version."""

    repository: str
    name: str
    version: str


METALLB = Chart("https://metallb.github.io/metallb", "metallb", "0.15.2")
TRAEFIK = Chart("https://traefik.github.io/charts", "traefik", "37.1.1")
LONGHORN = Chart("https://charts.longhorn.io", "longhorn", "1.9.1")
CERT_MANAGER = Chart("https://charts.jetstack.io", "cert-manager", "v1.18.2")

# The chart's own v3.5.2 has no wheel; one version runs everywhere, so that what is proved here is what runs there.
TRAEFIK_IMAGE_TAG = "v3.5.3"

FLUX = "v2.6.1"
# Flux 2.6.1 is these four controllers; `flux check --pre` of 2.6.1 wants Kubernetes 1.31 or later.
FLUX_COMPONENTS = {
    "source-controller": "v1.6.0",
    "kustomize-controller": "v1.6.0",
    "helm-controller": "v1.3.0",
    "notification-controller": "v1.6.0",
}
FLUX_REGISTRY = "ghcr.io/fluxcd"

# The minor chooses nixpkgs' package k3s_1_NN; NixOS 25.05 carries these, and Flux 2.6 wants 1.31 or later.
KubernetesMinor = Literal["v1.31", "v1.32", "v1.33"]
KUBERNETES: KubernetesMinor = "v1.31"

# A release is added when what is rendered for it is proved: options of services.k3s differ between releases.
NixosRelease = Literal["25.05"]
NIXOS: NixosRelease = "25.05"

# Installs NixOS over SSH; its flags and its output are known to deploy/anywhere.py and deploy/watchdog.py.
NIXOS_ANYWHERE = "1.13.0"

# The last revision of the release's branch, 2026-01-02.
NIXPKGS = Input(
    "NixOS",
    "nixpkgs",
    f"nixos-{NIXOS}",
    "ac62194c3917d5f474c1a844b6fd6da2db95077d",
    "sha256-16KkgfdYqjaeRGBaYsNrhPRRENs0qzkQVUooNHtoy2w=",
    1767313136,
)
# Older ones silently drop all but one definition of a disk's content.
DISKO = Input(
    "nix-community",
    "disko",
    "v1.13.0",
    "de5708739256238fb912c62f03988815db89ec9a",
    "sha256-CNzzBsRhq7gg4BMBuTDObiWDH/rFYHEuDRVOwCcwXw4=",
    1768920986,
)
# The next one needs Go 1.25, which NixOS 25.05 does not have.
SOPS_NIX = Input(
    "Mic92",
    "sops-nix",
    "17eea6f3816ba6568b8c81db8a4e6ca438b30b7c",
    "17eea6f3816ba6568b8c81db8a4e6ca438b30b7c",
    "sha256-ktjWTq+D5MTXQcL9N6cDZXUf9kX8JBLLBLT0ZyOTSYY=",
    1770145881,
)
