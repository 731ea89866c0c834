"""modules/high-availability.nix: the API server's shared address, held by one server whose own API server answers."""

from __future__ import annotations

from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding, Expression, attributes, call, name
from nerv.platform.models import Node
from nerv.rendering.nixos import network
from nerv.rendering.nixos.modules import lines, module, option, packages

_CHECK = "api-server"
_INSTANCE = "api"
_KEYS = "/var/lib/rancher/k3s/server/tls"
_SCRIPT = f"""\
keys={_KEYS}
curl --silent --output /dev/null --fail --max-time 2 --cacert "$keys/server-ca.crt" \\
  --cert "$keys/client-admin.crt" --key "$keys/client-admin.key" https://127.0.0.1:{network.API_SERVER}/readyz
"""


def text() -> str:
    """The module."""
    settings = {
        "enable": True,
        "enableScriptSecurity": True,
        # without a weight: a server whose API server does not answer never holds the address
        "vrrpScripts": {
            _CHECK: {"script": _script(), "user": "root", "interval": 3, "timeout": 3, "rise": 2, "fall": 3}
        },
    }
    return module(
        "The API server's shared address is held by one of the servers whose own API server answers.",
        [option("services.keepalived", settings)],
    )


def _script() -> Expression:
    application = attributes(
        {
            "name": "api-server-answers",
            "runtimeInputs": packages(("curl",)),
            "text": lines(_SCRIPT),
        }
    )
    return call(name("lib.getExe"), call(name("pkgs.writeShellApplication"), application))


def of_host(platform: Platform, node: Node) -> list[Binding]:
    """The machine's part in the election; nothing where there is no shared address."""
    shared = platform.spec.network.api_address
    if shared is None or node.role != "server":
        return []
    servers = platform.spec.servers
    instance: dict[str, object] = {
        "interface": network.interface(node),
        "state": "BACKUP",
        # the address stays where it is when a server comes back
        "noPreempt": True,
        "priority": 100 - servers.index(node),
        "virtualRouterId": int(shared) % 255 + 1,
        "unicastSrcIp": str(node.address),
        "unicastPeers": [str(other.address) for other in servers if other is not node],
        "virtualIps": [{"addr": f"{shared}/32"}],
        "trackScripts": [_CHECK],
    }
    return [option(f"services.keepalived.vrrpInstances.{_INSTANCE}", instance)]
