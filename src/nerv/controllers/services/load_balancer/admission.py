"""What MetalLB's webhook refuses: objects in a foreign namespace, pools that overlap or cannot be read, dangling names.

Wording of internal/k8s/webhooks and internal/config of MetalLB 0.15.2. Peers, profiles and communities of BGP are
checked for what their schema cannot say only as far as names and duplicates go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nerv.controllers.runtime import Informer
from nerv.controllers.services.load_balancer import pools as address_pools
from nerv.controllers.services.load_balancer.pools import PoolError
from nerv.controllers.services.webhooks.reviews import Allowed, Convert, Denied, Review, Verdict
from nerv.kube import objects
from nerv.kube.objects import Object

CONVERSION_PATH = "/convert"
_V1BETA1 = frozenset(
    (
        *("myASN", "peerASN", "peerAddress", "sourceAddress", "peerPort", "holdTime", "keepaliveTime", "routerID"),
        *("nodeSelectors", "password", "bfdProfile", "ebgpMultiHop"),
    )
)


@dataclass(frozen=True)
class Validator:
    """Judges requests against what is there. `namespace` is where MetalLB runs; empty while it does not."""

    namespace: Callable[[], str]
    pools: Informer
    peers: Informer

    def reviews(self) -> Mapping[str, Review]:
        """By path."""
        path = "/validate-metallb-io-"
        return {
            f"{path}v1beta1-ipaddresspool": self.pool,
            f"{path}v1beta1-l2advertisement": self.placed(self._advertisement),
            f"{path}v1beta1-bgpadvertisement": self.placed(self._advertisement),
            f"{path}v1beta1-community": self.placed(lambda obj: _duplicate_communities(obj)),
            f"{path}v1beta1-bfdprofile": self.profile,
            f"{path}v1beta2-bgppeer": self.placed(_peer_problem),
        }

    def placed(self, problem: Callable[[Object], str]) -> Review:
        """A review that first asks for the right namespace."""

        def review(request: Object) -> Verdict:
            found = self._misplaced(request) or problem(request["object"])
            return Denied(found) if found else Allowed()

        return review

    def pool(self, request: Object) -> Verdict:
        """An IPAddressPool beside all others."""
        misplaced = self._misplaced(request)
        if misplaced:
            return Denied(misplaced)
        obj = request["object"]
        others = [each for each in self.pools.list(self.namespace()) if objects.name(each) != objects.name(obj)]
        try:
            address_pools.validate([*others, obj])
        except PoolError as error:
            return Denied(str(error))
        return Allowed()

    def profile(self, request: Object) -> Verdict:
        """A BFDProfile in use must not go."""
        if request["operation"] != "DELETE":
            misplaced = self._misplaced(request)
            return Denied(misplaced) if misplaced else Allowed()
        name = request["name"]
        for peer in self.peers.list(self.namespace()):
            if peer["spec"].get("bfdProfile") == name:
                return Denied(f"failed to delete BFDProfile {name}, used by BGPPeer {objects.name(peer)}")
        return Allowed()

    def _misplaced(self, request: Object) -> str:
        space = self.namespace()
        if request["operation"] == "CREATE" and space and request.get("namespace") != space:
            return f"resource must be created in {space} namespace"
        return ""

    def _advertisement(self, obj: Object) -> str:
        for field in ("ipAddressPools", "interfaces", "peers", "communities"):
            values = (obj.get("spec") or {}).get(field) or []
            for value in values:
                if values.count(value) > 1:
                    return f'duplicate definition of {field} "{value}"'
        return ""


def _duplicate_communities(obj: Object) -> str:
    names = [each.get("name") for each in (obj.get("spec") or {}).get("communities") or []]
    twice = next((name for name in names if names.count(name) > 1), None)
    return f'duplicate definition of community "{twice}"' if twice is not None else ""


def _peer_problem(obj: Object) -> str:
    spec = obj["spec"]
    place = f"parsing peer {objects.name(obj)} "
    if not spec.get("myASN"):
        return place + "missing local ASN"
    if not spec.get("peerASN") and not spec.get("dynamicASN"):
        return place + "missing peer ASN and dynamicASN"
    if spec.get("peerASN") and spec.get("dynamicASN"):
        return place + "both peer ASN and dynamicASN specified"
    if not spec.get("peerAddress") and not spec.get("interface"):
        return place + "peer has no Address or Interface specified"
    if spec.get("peerAddress") and spec.get("interface"):
        return place + "peer has both Address and Interface specified"
    for field, label in (("peerAddress", "BGPPeer address"), ("routerID", "router ID"), ("sourceAddress", "source IP")):
        text = spec.get(field)
        if text and not _is_address(text):
            return place + f'invalid {label} "{text}"'
    return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def conversions() -> Mapping[str, Convert]:
    """BGPPeer between v1beta1 and v1beta2."""
    return {CONVERSION_PATH: convert_peer}


def convert_peer(obj: Object, api_version: str) -> Object:
    """What v1beta1 has no field for is left out of it; everything it has means the same in v1beta2."""
    if obj.get("apiVersion") == api_version:
        return obj
    if not api_version.startswith("metallb.io/"):
        raise ValueError(f"BGPPeer cannot be converted to {api_version}")
    if api_version.endswith("/v1beta2"):
        return {**obj, "apiVersion": api_version}
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key in _V1BETA1}
    return {**obj, "apiVersion": api_version, "spec": spec}
