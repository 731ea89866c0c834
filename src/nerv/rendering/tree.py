"""The whole repository as a mapping of path to text. Pure: the same definition gives the same bytes, for ever."""

from __future__ import annotations

from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.rendering import cluster, folders, readme, secrets
from nerv.rendering.folders import Tree

SCHEMA_FILE = "nerv.schema.json"


def tree(platform: Platform, recipients: tuple[str, ...]) -> Tree:
    """Every generated file, by path, sorted.

    `recipients` are the age public keys of operator and Flux; those of the definition are added.
    """
    everyone = tuple(dict.fromkeys((*recipients, *platform.spec.secrets.recipients)))
    made = {
        "README.md": readme.text(platform),
        SCHEMA_FILE: definition.schema(),
        **cluster.files(platform),
        **folders.apps(platform),
        **folders.apps_config(platform, secrets=bool(secrets.logins(platform))),
        **secrets.files(platform, everyone),
    }
    return dict(sorted(made.items()))
