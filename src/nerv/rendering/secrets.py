"""Which encrypted files the repository holds, and for whom: names and recipients, never contents.

secrets/*.sops.yaml                the cluster's Secrets: operator, people, Flux
nixos/secrets/servers.sops.yaml    what servers are started with: operator, people, servers
nixos/secrets/agents.sops.yaml     what agents are started with: operator, people, agents
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nerv import documents
from nerv.components import catalog
from nerv.components.catalog import Platform
from nerv.components.dashboards import LOGIN
from nerv.components.flux.controllers import NAMESPACE
from nerv.components.flux.webhook import TOKEN
from nerv.components.objects import Object, metadata
from nerv.platform.models import Node
from nerv.rendering import headers
from nerv.rendering.folders import Tree, kustomization
from nerv.rendering.public import PublicKeys

FOLDER = "secrets"
RULES_FILE = ".sops.yaml"
USERS_KEY = "users"
TOKEN_KEY = "token"
SERVERS_FILE = "nixos/secrets/servers.sops.yaml"
AGENTS_FILE = "nixos/secrets/agents.sops.yaml"


@dataclass(frozen=True)
class SecretFile:
    """A Secret that is kept encrypted at `path`."""

    path: str
    namespace: str
    name: str

    def secret(self, data: dict[str, str]) -> Object:
        """The Secret with `data` in clear: to be encrypted at once, never to be written."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(self.name, self.namespace),
            "type": "Opaque",
            "stringData": data,
        }


@dataclass(frozen=True)
class Reader:
    """Who can open files."""

    kind: Literal["operator", "person", "flux", "host", "unknown"]
    name: str
    """Node of a host, name of a person; empty where the kind says it all."""
    recipient: str


@dataclass(frozen=True)
class Group:
    """Encrypted files that the same readers can open: one rule for sops."""

    paths: str
    """Regular expression."""
    readers: tuple[Reader, ...]
    encrypted: str = ""
    """Regular expression of the keys whose values are encrypted; empty: all."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Of all readers, in their order."""
        return tuple(reader.recipient for reader in self.readers)

    def holds(self, path: str) -> bool:
        """Whether the file belongs to this group."""
        return re.search(self.paths, path) is not None


def logins(platform: Platform) -> tuple[SecretFile, ...]:
    """The dashboards' logins, one for each namespace that has a dashboard."""
    namespaces = dict.fromkeys(dashboard.namespace for dashboard in catalog.served(platform))
    return tuple(SecretFile(f"{FOLDER}/{namespace}-{LOGIN}.sops.yaml", namespace, LOGIN) for namespace in namespaces)


def webhook(platform: Platform) -> tuple[SecretFile, ...]:
    """The token of Flux's Receiver, where there is one."""
    if not platform.spec.components.flux.webhook:
        return ()
    return (SecretFile(f"{FOLDER}/{NAMESPACE}-{TOKEN}.sops.yaml", NAMESPACE, TOKEN),)


def of_cluster(platform: Platform) -> tuple[SecretFile, ...]:
    """Every Secret that Flux applies."""
    return (*logins(platform), *webhook(platform))


def encrypted(platform: Platform) -> tuple[str, ...]:
    """Every encrypted file that NERV makes."""
    return (*(file.path for file in of_cluster(platform)), *host_files(platform))


def host_files(platform: Platform) -> tuple[str, ...]:
    """The encrypted files that machines read; agents have one where there are agents."""
    return (SERVERS_FILE, AGENTS_FILE) if _agents(platform) else (SERVERS_FILE,)


def groups(platform: Platform, public: PublicKeys) -> tuple[Group, ...]:
    """Who can open what."""
    operator = Reader("operator", "", public.operator)
    people = tuple(Reader("person", "", recipient) for recipient in platform.spec.secrets.recipients)
    flux = Reader("flux", "", public.flux)
    made = [
        # names and kinds stay readable: Flux and reviews need them
        Group(rf"^{FOLDER}/.*\.sops\.yaml$", _unique(operator, flux, *people), "^(data|stringData)$"),
        Group(_exactly(SERVERS_FILE), _unique(operator, *people, *_hosts(platform.spec.servers, public))),
    ]
    if _agents(platform):
        made.append(Group(_exactly(AGENTS_FILE), _unique(operator, *people, *_hosts(_agents(platform), public))))
    return tuple(made)


def group_of(path: str, known: Iterable[Group]) -> Group | None:
    """The group whose rule the file falls under: the first that holds it, as sops reads them."""
    return next((group for group in known if group.holds(path)), None)


def key_file(node: str) -> str:
    """Path of a node's public host key."""
    return f"nixos/keys/{node}.pub"


def files(platform: Platform, public: PublicKeys) -> Tree:
    """The rules for sops, the list of encrypted Secrets, and the public host keys."""
    known = groups(platform, public)
    made = {RULES_FILE: headers.GENERATED + _names(known) + rules(known)}
    found = of_cluster(platform)
    if found:
        names = (file.path.removeprefix(f"{FOLDER}/") for file in found)
        made[f"{FOLDER}/kustomization.yaml"] = kustomization(names)
    for node in platform.spec.nodes:
        if node.name in public.hosts:
            made[key_file(node.name)] = f"{public.hosts[node.name]}\n"
    return made


def rules(known: Iterable[Group]) -> str:
    """The rules as sops reads them."""
    return documents.dump({"creation_rules": [_rule(group) for group in known]})


def recipients_in(rules: str) -> tuple[str, ...]:
    """The recipients that the first rule of a .sops.yaml of ours names: operator, Flux, people.

    Raises DocumentError; none where it is another's.
    """
    read = documents.load(rules)
    try:
        return tuple(str(read["creation_rules"][0]["age"]).split(","))
    except (TypeError, KeyError, IndexError):
        return ()


def _rule(group: Group) -> dict[str, str]:
    # a plain list: `key_groups` with two entries would split the key, so that one reader alone could open nothing
    made = {"path_regex": group.paths}
    if group.encrypted:
        made["encrypted_regex"] = group.encrypted
    return made | {"age": ",".join(group.recipients)}


def _names(known: Iterable[Group]) -> str:
    """Comments that say whose recipients the rules name."""
    readers = dict.fromkeys(reader for group in known for reader in group.readers)
    return "".join(f"# {reader.recipient}  {reader.name or reader.kind}\n" for reader in readers)


def _exactly(path: str) -> str:
    return f"^{re.escape(path)}$"


def _agents(platform: Platform) -> tuple[Node, ...]:
    return tuple(node for node in platform.spec.nodes if node.role == "agent")


def _hosts(nodes: Iterable[Node], public: PublicKeys) -> Iterable[Reader]:
    for node in nodes:
        recipient = public.recipient(node.name)
        if recipient is not None:
            yield Reader("host", node.name, recipient)


def _unique(*readers: Reader) -> tuple[Reader, ...]:
    """One reader for each recipient: the definition may name the operator again."""
    found: dict[str, Reader] = {}
    for reader in readers:
        found.setdefault(reader.recipient, reader)
    return tuple(found.values())
