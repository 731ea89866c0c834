"""What every reconciler stands on: clock, informers, work queue, outcomes, controllers, events, cached writes.

Belongs here: machinery that knows no particular kind. Not: the rules of a kind (kubernetes/, flux/, services/).

A reconciler is one async function from a `Key` to an `Outcome`; a `Controller` calls it for every key that a watched
object maps to, never twice at once for one key. Everything is event-driven: an idle platform runs no timer but the
ones that reconcilers asked for.
"""

from nerv.controllers.runtime.clock import Clock, SystemClock, VirtualClock
from nerv.controllers.runtime.controller import Controller, Key, Watch, key_of, own_key
from nerv.controllers.runtime.events import EventRecorder
from nerv.controllers.runtime.informer import Informer, Informers
from nerv.controllers.runtime.outcome import Done, Outcome, Requeue, RetryAfter
from nerv.controllers.runtime.queue import WorkQueue
from nerv.controllers.runtime.writer import Writer

__all__ = [
    "Clock",
    "Controller",
    "Done",
    "EventRecorder",
    "Informer",
    "Informers",
    "Key",
    "Outcome",
    "Requeue",
    "RetryAfter",
    "SystemClock",
    "VirtualClock",
    "Watch",
    "WorkQueue",
    "Writer",
    "key_of",
    "own_key",
]
