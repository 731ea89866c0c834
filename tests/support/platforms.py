"""Platforms for tests: the examples, and changed copies of a small definition."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.rendering.public import PublicKeys

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPIENTS = (
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
    "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa",
)


def public(platform: Platform) -> PublicKeys:
    """Fixed keys: RECIPIENTS, and a host key for each node that follows from its name."""
    hosts = {node.name: f"{host_key(node.name)} {node.name}" for node in platform.spec.nodes}
    return PublicKeys(*RECIPIENTS, hosts)


def host_key(node: str) -> str:
    """`ssh-ed25519 AAAA...`, the same for one name always."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(node.encode()).digest()).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def example(name: str) -> Platform:
    """The platform of examples/<name>."""
    return definition.load(EXAMPLES / name / "nerv.yaml")


SMALL = """\
apiVersion: nerv.dev/v1
kind: Platform
metadata:
  name: home
spec:
  domain: nerv.local
  nodes:
    - name: nerv-1
      address: 192.168.1.10
  network:
    cidr: 192.168.1.0/24
    gateway: 192.168.1.1
  repository:
    url: https://github.com/you/home.git
  components:
    metallb:
      pool: [192.168.1.111-192.168.1.150]
"""


def small(components: str = "") -> Platform:
    """The small definition, with lines added to `components` (indented by four)."""
    return definition.parse((SMALL + components).encode())
