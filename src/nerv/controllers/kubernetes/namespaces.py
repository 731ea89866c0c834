"""The end of namespaces: everything in one that is being deleted is deleted, then it is let go.

Behaviour and condition texts of k8s.io/kubernetes/pkg/controller/namespace 1.31.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.inventory import Inventory
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, NAMESPACES, Resource

_FINALIZER = "kubernetes"
# what remains is looked at again when an object goes; this is for what was written by others at the last moment
_LOOK_AGAIN = 5.0


def namespace_lifecycle(context: Context, inventory: Inventory) -> Controller:
    """The controller of namespaces that are being deleted."""
    namespaces = context.informers.of(NAMESPACES)
    reconciler = _Lifecycle(context, inventory, namespaces)
    controller = Controller(
        "namespace-controller", reconciler.reconcile, (Watch(namespaces),), concurrency=10, clock=context.clock
    )
    inventory.on_change(reconciler.content_changed(controller.queue.add))
    return controller


@dataclass(frozen=True)
class _Lifecycle:
    context: Context
    inventory: Inventory
    namespaces: Informer

    def content_changed(self, add: Callable[[Key], None]) -> Callable[[Resource, Object | None, Object | None], None]:
        """Ask for a namespace that is going away whenever something in it went."""

        def changed(resource: Resource, old: Object | None, new: Object | None) -> None:
            if new is None and old is not None:
                namespace = self.namespaces.get(None, objects.namespace(old))
                if namespace is not None and objects.deleting(namespace):
                    add(Key("", objects.name(namespace)))

        return changed

    async def reconcile(self, key: Key) -> Outcome:
        """Delete the content of a namespace that is going away; when all is gone, the finalizer."""
        namespace = self.namespaces.get(None, key.name)
        if namespace is None or not objects.deleting(namespace):
            return Done()
        if _FINALIZER not in (namespace["spec"].get("finalizers") or []):
            return Done()
        failures = await self._delete_content(key.name)
        remaining = await self._remaining(key.name)
        if not remaining and not failures:
            await self._finalize(namespace)
            return Done()
        await self._report(namespace, remaining, failures)
        return RetryAfter(_LOOK_AGAIN)

    async def _delete_content(self, name: str) -> list[str]:
        """Delete everything in the namespace. Returns what was refused."""
        kinds = [resource for resource, informer in self.inventory.namespaced() if informer.list(name)]
        results = await asyncio.gather(*(self._delete_kind(resource, name) for resource in [*kinds, EVENTS]))
        return [text for text in results if text]

    async def _delete_kind(self, resource: Resource, name: str) -> str:
        try:
            if "deletecollection" in resource.verbs:
                await self.context.client.delete_collection(resource, name)
            else:
                for obj in (await self.context.client.list(resource, name)).items:
                    await self.context.writer.delete(resource, obj)
        except errors.NotFound:
            return ""
        except errors.ApiError as error:
            return error.message
        return ""

    async def _remaining(self, name: str) -> list[tuple[Resource, Object]]:
        """What is still there: as the informers have it, and once they have nothing, as the server says."""
        kinds = self.inventory.namespaced()
        known = [(resource, obj) for resource, informer in kinds for obj in informer.list(name)]
        if known:
            return known

        async def listed(resource: Resource) -> list[tuple[Resource, Object]]:
            try:
                found = await self.context.client.list(resource, name)
            except errors.NotFound:
                return []
            return [(resource, obj) for obj in found.items]

        answers = await asyncio.gather(*(listed(resource) for resource, _ in kinds))
        return [each for found in answers for each in found]

    async def _finalize(self, namespace: Object) -> None:
        left = [each for each in namespace["spec"]["finalizers"] if each != _FINALIZER]
        changed = {**namespace, "spec": {**namespace["spec"], "finalizers": left}}
        try:
            await self.context.client.replace(NAMESPACES, changed, subresource="finalize")
        except errors.NotFound:
            return

    async def _report(self, namespace: Object, remaining: list[tuple[Resource, Object]], failures: list[str]) -> None:
        """Say in the conditions what holds the namespace."""
        status = namespace.get("status", {})
        conditions = status.get("conditions") or []
        for type, reason, message in _findings(remaining, failures):
            state = "True" if message[1] else "False"
            conditions = objects.set_condition(
                conditions, type, state, reason[bool(message[1])], message[1] or message[0], None,
                self.context.clock.now(),
            )  # fmt: skip
        await self.context.writer.status(NAMESPACES, namespace, {**status, "conditions": conditions})


def _findings(
    remaining: list[tuple[Resource, Object]], failures: list[str]
) -> list[tuple[str, tuple[str, str], tuple[str, str]]]:
    """Condition type, its reasons (when fine, when not), its messages (when fine, when not)."""
    counts = Counter(_full_name(resource) for resource, _ in remaining)
    finalizers = Counter(each for _, obj in remaining for each in objects.finalizers(obj))
    content = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(counts.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
    problem = "; ".join(sorted(failures))
    return [
        (
            "NamespaceDeletionDiscoveryFailure",
            ("ResourcesDiscovered", "DiscoveryFailed"),
            ("All resources successfully discovered", ""),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            ("ParsedGroupVersions", "GroupVersionParsingFailed"),
            ("All legacy kube types successfully parsed", ""),
        ),
        (
            "NamespaceDeletionContentFailure",
            ("ContentDeleted", "ContentDeletionFailed"),
            (
                "All content successfully deleted, may be waiting on finalization",
                f"Failed to delete all resource types, {len(failures)} remaining: {problem}" if failures else "",
            ),
        ),
        (
            "NamespaceContentRemaining",
            ("ContentRemoved", "SomeResourcesRemain"),
            ("All content successfully removed", f"Some resources are remaining: {content}" if content else ""),
        ),
        (
            "NamespaceFinalizersRemaining",
            ("ContentHasNoFinalizers", "SomeFinalizersRemain"),
            (
                "All content-preserving finalizers finished",
                f"Some content in the namespace has finalizers remaining: {held}" if held else "",
            ),
        ),
    ]


def _full_name(resource: Resource) -> str:
    """`deployments.apps`, `pods.`: the form that the condition uses."""
    return f"{resource.plural}.{resource.group}"
