"""README.md of the platform's repository: what stands where, and which commands change it."""

from __future__ import annotations

from nerv.components import catalog
from nerv.components.catalog import Platform
from nerv.rendering import headers

_TEXT = """# {name}

A Kubernetes platform kept as one file: [nerv.yaml](nerv.yaml). Everything else here is rendered from it.

| path | what |
|---|---|
| `nerv.yaml` | the definition: change this |
| `{cluster}/flux-system/` | Flux itself, and where it reads from |
| `{cluster}/apps.yaml`, `{cluster}/apps-config.yaml` | the two Kustomizations; `apps-config` waits for `apps` |
| `apps/` | what brings definitions and controllers: namespaces, chart sources, releases |
| `apps-config/` | what uses them: address pool, certificate authority, certificates, routes |
| `secrets/` | Secrets encrypted with SOPS for the recipients in `.sops.yaml` |
| `nixos/flake.nix`, `nixos/flake.lock` | the machines, and what they are made of, pinned |
| `nixos/hosts/`, `nixos/modules/` | what is one machine's own, and what machines share |
| `nixos/keys/`, `nixos/secrets/` | the machines' public host keys, and what they are started with, encrypted for them |
| `nerv-manifest.json` | which files NERV wrote, with their hashes |
| `.nerv/` | state of this machine; not in Git |

## Components

{components}

## Machines

{machines}

## Dashboards

{dashboards}

The login is `admin`; its password is with the operator's keys, in `~/.config/nerv/{name}/credentials`.

## Working with it

* Change `nerv.yaml`, then `nerv check` and `nerv render`, then commit. Flux applies what is committed on `{branch}`.
* `nerv up` runs this platform on this machine; `nerv status` tells how it is.
* `nerv deploy NODE` installs NixOS on a machine or updates it; `nerv bootstrap` tells the repository's host about Flux.
* A generated file that was edited by hand is refused by `nerv render`. Put the change into `nerv.yaml` (every chart has
  `values:`), or `nerv eject FILE` to own the file from then on. Files that NERV did not write are never touched.
"""


def text(platform: Platform) -> str:
    """The page."""
    components = "\n".join(f"* {component.name}" for component in catalog.enabled(platform))
    dashboards = "\n".join(f"* https://{platform.host(found.label)}" for found in catalog.served(platform))
    machines = "\n".join(f"* `{node.name}`: {node.role}, {node.address}" for node in platform.spec.nodes)
    return headers.MARKDOWN + _TEXT.format(
        name=platform.name,
        cluster=platform.cluster_path,
        branch=platform.spec.repository.branch,
        components=components,
        machines=machines,
        dashboards=dashboards or "None.",
    )
