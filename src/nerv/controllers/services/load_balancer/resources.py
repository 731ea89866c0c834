"""MetalLB's kinds (metallb.io) and the names that chart and manager agree on."""

from __future__ import annotations

from nerv.kube.resources import Resource

GROUP = "metallb.io"


def _resource(plural: str, kind: str, version: str = "v1beta1") -> Resource:
    return Resource(GROUP, version, plural, kind, True, kind.lower())


POOLS = _resource("ipaddresspools", "IPAddressPool")
L2_ADVERTISEMENTS = _resource("l2advertisements", "L2Advertisement")
BGP_PEERS = _resource("bgppeers", "BGPPeer", "v1beta2")
L2_STATUSES = _resource("servicel2statuses", "ServiceL2Status")

CONTROLLER_IMAGE = "metallb/controller"
SPEAKER_IMAGE = "metallb/speaker"
WEBHOOK_PORT = 9443
WEBHOOK_SERVICE = "metallb-webhook-service"
WEBHOOK_SECRET = "metallb-webhook-cert"
WEBHOOK_CONFIGURATION = "metallb-webhook-configuration"
CONVERTED = f"bgppeers.{GROUP}"

POOL_ANNOTATION = "address-pool"
ADDRESSES_ANNOTATION = "loadBalancerIPs"
SHARING_ANNOTATION = "allow-shared-ip"
ALLOCATED_ANNOTATION = f"{GROUP}/ip-allocated-from-pool"
_DEPRECATED = "metallb.universe.tf"


def annotation(annotations: dict[str, str], name: str) -> str:
    """A Service's wish under the present prefix, else under the deprecated one."""
    return annotations.get(f"{GROUP}/{name}", annotations.get(f"{_DEPRECATED}/{name}", ""))


def deprecated(annotations: dict[str, str]) -> list[str]:
    """Annotations with the deprecated prefix."""
    return sorted(key for key in annotations if key.startswith(f"{_DEPRECATED}/"))
