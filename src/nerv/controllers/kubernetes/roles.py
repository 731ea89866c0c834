"""Aggregated ClusterRoles: the rules of all roles that `aggregationRule` selects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch, key_of
from nerv.kube import objects, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import CLUSTER_ROLES


def aggregated_roles(context: Context) -> Controller:
    """The controller of ClusterRoles with an aggregation rule."""
    roles = context.informers.of(CLUSTER_ROLES)
    reconciler = _Roles(context, roles)
    watches = (Watch(roles, reconciler.changed),)
    return Controller("clusterrole-aggregation-controller", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Roles:
    context: Context
    roles: Informer

    def changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Every aggregated role that selects the changed one, before or after."""
        changed = [role for role in (old, new) if role is not None]
        return {
            key_of(role)
            for role in self.roles.list()
            if role.get("aggregationRule") and any(role is each or _selects(role, each) for each in changed)
        }

    async def reconcile(self, key: Key) -> Outcome:
        """Write the joined rules, in the order of the roles' names, each once."""
        role = self.roles.get(None, key.name)
        if role is None or not role.get("aggregationRule"):
            return Done()
        rules: list[Object] = []
        for other in sorted(self.roles.list(), key=objects.name):
            if objects.name(other) != key.name and _selects(role, other):
                rules += [rule for rule in other.get("rules") or [] if rule not in rules]
        if rules != (role.get("rules") or []):
            await self.context.writer.replace(CLUSTER_ROLES, {**role, "rules": rules})
        return Done()


def _selects(role: Object, other: Object) -> bool:
    chosen = role["aggregationRule"].get("clusterRoleSelectors") or []
    return any(selectors.from_object(each).matches(objects.labels(other)) for each in chosen)
