"""APIServices: nothing is aggregated here, and each that asks for it says so in its condition.

On a real cluster the aggregator of kube-apiserver serves the group of an APIService from its Service. The condition is
the one in which that reports what is not available, so that `kubectl get apiservices` and whoever waits are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch, key_of
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import API_SERVICES

_REASON = "NotAggregated"
_MESSAGE = "the embedded engine aggregates no APIs, and this one is not served: `nerv up --engine upstream` does"


def api_services(context: Context) -> Controller:
    """The controller of APIService status."""
    informer = context.informers.of(API_SERVICES)
    reconciler = _Unserved(context, informer)
    return Controller("apiservice-status-controller", reconciler.reconcile, (Watch(informer, _asks),))


def _asks(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Those that name a Service; the others are the API server's own groups."""
    return (key_of(new),) if new is not None and new["spec"].get("service") else ()


@dataclass(frozen=True)
class _Unserved:
    context: Context
    informer: Informer

    async def reconcile(self, key: Key) -> Outcome:
        """Write the condition."""
        found = self.informer.get(None, key.name)
        if found is None:
            return Done()
        status = found.get("status") or {}
        now = self.context.clock.now()
        conditions = objects.set_condition(
            status.get("conditions") or [], "Available", "False", _REASON, _MESSAGE, None, now
        )
        await self.context.writer.status(API_SERVICES, found, {**status, "conditions": conditions})
        return Done()
