"""The whole repository as a mapping of path to text. Pure: the same definition gives the same bytes, for ever."""

from __future__ import annotations

from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.rendering import cluster, folders, readme, secrets
from nerv.rendering.folders import Tree
from nerv.rendering.nixos import files as nixos
from nerv.rendering.public import PublicKeys

SCHEMA_FILE = "nerv.schema.json"


def tree(platform: Platform, public: PublicKeys) -> Tree:
    """Every generated file, by path, sorted. `public` are the keys that no definition names."""
    made = {
        "README.md": readme.text(platform),
        SCHEMA_FILE: definition.schema(),
        **cluster.files(platform),
        **folders.apps(platform),
        **folders.apps_config(platform, secrets=bool(secrets.of_cluster(platform))),
        **nixos.files(platform),
        **secrets.files(platform, public),
    }
    return dict(sorted(made.items()))
