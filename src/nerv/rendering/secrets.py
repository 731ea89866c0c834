"""Which encrypted files the repository holds, and for whom: names and recipients, never contents."""

from __future__ import annotations

from dataclasses import dataclass

from nerv import documents
from nerv.components import catalog
from nerv.components.catalog import Platform
from nerv.components.dashboards import LOGIN
from nerv.components.objects import Object, metadata
from nerv.rendering import headers
from nerv.rendering.folders import Tree, kustomization

FOLDER = "secrets"
RULES_FILE = ".sops.yaml"
USERS_KEY = "users"


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


def logins(platform: Platform) -> tuple[SecretFile, ...]:
    """The dashboards' logins, one for each namespace that has a dashboard."""
    namespaces = dict.fromkeys(dashboard.namespace for dashboard in catalog.served(platform))
    return tuple(SecretFile(f"{FOLDER}/{namespace}-{LOGIN}.sops.yaml", namespace, LOGIN) for namespace in namespaces)


def files(platform: Platform, recipients: tuple[str, ...]) -> Tree:
    """The rules for sops, and the list of encrypted files."""
    rule = {
        "path_regex": rf"^{FOLDER}/.*\.sops\.yaml$",
        # names and kinds stay readable: Flux and reviews need them
        "encrypted_regex": "^(data|stringData)$",
        "age": ",".join(recipients),
    }
    made = {RULES_FILE: headers.GENERATED + documents.dump({"creation_rules": [rule]})}
    found = logins(platform)
    if found:
        names = (file.path.removeprefix(f"{FOLDER}/") for file in found)
        made[f"{FOLDER}/kustomization.yaml"] = kustomization(names)
    return made


def recipients_in(rules: str) -> tuple[str, ...]:
    """The recipients that a .sops.yaml of ours names. Raises DocumentError; none where it is another's."""
    read = documents.load(rules)
    try:
        return tuple(str(read["creation_rules"][0]["age"]).split(","))
    except (TypeError, KeyError, IndexError):
        return ()
