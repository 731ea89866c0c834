"""Aggregated ClusterRoles (`admin`, `edit`, `view` and any other with an aggregationRule) follow the roles they gather.

Done here and not in a controller, because authorization is wrong as long as it is not done.
"""

from __future__ import annotations

from nerv.apiserver.access import roles
from nerv.apiserver.store import Store
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import CLUSTER_ROLES


async def gather(store: Store, client: Client) -> None:
    """Write the rules of every aggregated role that has not the right ones. `edit` takes what `view` has gathered, so
    this goes on until nothing changes."""
    changed = True
    while changed:
        changed = False
        present = [entry.load() for entry in store.iterate(CLUSTER_ROLES.qualified)]
        for role in present:
            if "aggregationRule" not in role:
                continue
            wanted = roles.rules_of(role, present)
            if wanted == (role.get("rules") or []):
                continue
            changed = True
            try:
                await client.patch(CLUSTER_ROLES, role["metadata"]["name"], None, {"rules": wanted})
            except errors.NotFound:
                continue
