"""ResourceQuotas: what a namespace uses, so that admission can compare.

Behaviour of k8s.io/kubernetes/pkg/controller/resourcequota 1.31: pods with their requests and limits, claims with their
storage, Services by type, and `count/<resource>.<group>` of anything in the inventory. Scopes: Terminating,
NotTerminating, BestEffort, NotBestEffort, PriorityClass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from nerv.controllers.kubernetes import fitting, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.inventory import Inventory
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch, key_of
from nerv.kube import objects, quantity, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES, Resource

_OLD_NAMES = {
    "configmaps": "configmaps",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "replicationcontrollers": "replicationcontrollers",
    "resourcequotas": "resourcequotas",
    "secrets": "secrets",
    "services": "services",
}
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def resource_quotas(context: Context, inventory: Inventory) -> Controller:
    """The controller of ResourceQuota status."""
    informers = context.informers
    quotas = informers.of(RESOURCE_QUOTAS)
    reconciler = _Quotas(
        context, inventory, quotas, informers.of(PODS), informers.of(PERSISTENT_VOLUME_CLAIMS), informers.of(SERVICES)
    )
    controller = Controller(
        "resourcequota-controller", reconciler.reconcile, (Watch(quotas, _when_desired),), clock=context.clock
    )
    inventory.on_change(reconciler.content_changed(controller.queue.add))
    return controller


def _when_desired(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Changes of what a quota asks for; its status is counted up by admission, which must not be undone."""
    if new is None or (old is not None and old.get("spec") == new.get("spec")):
        return ()
    return (key_of(new),)


@dataclass(frozen=True)
class _Quotas:
    context: Context
    inventory: Inventory
    quotas: Informer
    pods: Informer
    claims: Informer
    services: Informer

    def content_changed(self, add: Callable[[Key], None]) -> Callable[[Resource, Object | None, Object | None], None]:
        """Count again where something went, or a pod finished or a Service changed. What comes was counted by
        admission, and would be missed by a count that begins before it is stored."""

        def changed(resource: Resource, old: Object | None, new: Object | None) -> None:
            if new is not None and (old is None or resource not in (PODS, SERVICES)):
                return
            obj = new if new is not None else old
            if obj is not None:
                for quota in self.quotas.list(objects.namespace(obj)):
                    add(key_of(quota))

        return changed

    async def reconcile(self, key: Key) -> Outcome:
        """Write `status.hard` and `status.used`."""
        quota = self.quotas.get(key.namespace, key.name)
        if quota is None:
            return Done()
        hard = quota["spec"].get("hard") or {}
        used = {name: _text(name, self._used(quota, name)) for name in hard}
        status = {"hard": {name: quantity.canonical(value) for name, value in hard.items()}, "used": used}
        if status != quota.get("status"):
            await self.context.writer.status(RESOURCE_QUOTAS, quota, status)
        return Done()

    def _used(self, quota: Object, name: str) -> Fraction:
        namespace = objects.namespace(quota)
        if name.startswith("count/"):
            return Fraction(self._count(namespace, name.removeprefix("count/")))
        if name in _OLD_NAMES:
            return Fraction(self._count(namespace, name))
        if name.startswith("services."):
            return Fraction(_services(self.services.list(namespace), name.removeprefix("services.")))
        if name.endswith(("requests.storage", "/persistentvolumeclaims")):
            return _storage(self.claims.list(namespace), name)
        mine = [pod for pod in self.pods.list(namespace) if not pods.is_finished(pod) and _in_scope(quota, pod)]
        if name == "pods":
            return Fraction(len(mine))
        return sum((_asked(pod, name) for pod in mine), Fraction(0))

    def _count(self, namespace: str, qualified: str) -> int:
        for resource, informer in self.inventory.namespaced():
            if resource.qualified == qualified:
                return len(informer.list(namespace))
        return 0


def _text(name: str, value: Fraction) -> str:
    """The amount as Kubernetes writes it: memory and storage in binary units, CPU in thousandths."""
    if value.denominator != 1:
        return quantity.canonical(f"{int(value * 1000)}m")
    binary = "memory" in name or "storage" in name
    return quantity.canonical(f"{int(value) // 1024}Ki" if binary and value and int(value) % 1024 == 0 else int(value))


def _asked(pod: Object, name: str) -> Fraction:
    if name.startswith("limits."):
        return _limits(pod).get(name.removeprefix("limits."), Fraction(0))
    plain = name.removeprefix("requests.")
    return fitting.request(pod).get(plain, Fraction(0)) if plain in _COMPUTE or name != plain else Fraction(0)


def _limits(pod: Object) -> dict[str, Fraction]:
    result: dict[str, Fraction] = {}
    for container in pod["spec"].get("containers") or []:
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items():
            result[name] = result.get(name, Fraction(0)) + quantity.parse(value)
    return result


def _services(services: Iterable[Object], kind: str) -> int:
    types = [each["spec"].get("type", "ClusterIP") for each in services]
    if kind == "loadbalancers":
        return types.count("LoadBalancer")
    return types.count("NodePort") + types.count("LoadBalancer") if kind == "nodeports" else 0


def _storage(claims: Iterable[Object], name: str) -> Fraction:
    prefix, _, what = name.rpartition(".storageclass.storage.k8s.io/")
    mine = [each for each in claims if not prefix or each["spec"].get("storageClassName") == prefix]
    if (what or name).endswith("persistentvolumeclaims"):
        return Fraction(len(mine))
    asked = (((each["spec"].get("resources") or {}).get("requests") or {}).get("storage", 0) for each in mine)
    return sum((quantity.parse(each) for each in asked), Fraction(0))


def _in_scope(quota: Object, pod: Object) -> bool:
    spec = quota["spec"]
    terminating = pod["spec"].get("activeDeadlineSeconds") is not None
    best_effort = not fitting.request(pod) and not _limits(pod)
    holds = {
        "Terminating": terminating,
        "NotTerminating": not terminating,
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
    }
    if not all(holds.get(scope, True) for scope in spec.get("scopes") or []):
        return False
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    for expression in expressions:
        if expression["scopeName"] == "PriorityClass":
            named = {"PriorityClass": pod["spec"].get("priorityClassName", "")}
            rule = {
                "key": "PriorityClass",
                **{key: expression[key] for key in ("operator", "values") if key in expression},
            }
            if not selectors.from_object({"matchExpressions": [rule]}).matches(named):
                return False
        elif not holds.get(expression["scopeName"], True):
            return False
    return True
