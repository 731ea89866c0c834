"""What the parts of the API server share: store, registry, clock, and the admission chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nerv.apiserver.access.rbac import Authorizer
from nerv.apiserver.access.reviews import Reviews
from nerv.apiserver.addresses import Addresses
from nerv.apiserver.configuration import PodSecurity
from nerv.apiserver.identity import User
from nerv.apiserver.proxying import Proxy
from nerv.apiserver.registry import Registry, Served
from nerv.apiserver.store import Store
from nerv.apiserver.tokens import Signer
from nerv.apiserver.webhooks.calling import Caller
from nerv.kube.objects import Object


@dataclass
class Attributes:
    """What admission is asked about. `obj` is changed in place by mutating plugins; None at deletion."""

    operation: str
    """CREATE, UPDATE, DELETE or CONNECT."""
    served: Served
    namespace: str
    name: str
    subresource: str
    obj: Object | None
    old: Object | None
    user: User
    dry_run: bool
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """Shown to the client in Warning headers."""
    undo: list[Callable[[], None]] = field(default_factory=list)
    """Gives back what was reserved (an address), when the write fails after all."""

    @property
    def key(self) -> str:
        return self.served.key


Plugin = Callable[["Context", Attributes], Awaitable[None] | None]
"""One step of admission. Raises errors.ApiError to refuse."""


Converter = Callable[[Served, Sequence[Object], str], Awaitable[list[Object]]]
"""Asks a resource's conversion webhook for objects in another apiVersion."""


@dataclass
class Context:
    """One API server's inner state."""

    store: Store
    registry: Registry
    now: Callable[[], datetime]
    convert: Converter
    signer: Signer
    authorizer: Authorizer
    reviews: Reviews
    addresses: Addresses
    webhooks: Caller
    proxy: Proxy
    pod_security: PodSecurity = field(default_factory=PodSecurity)
    mutating: Sequence[Plugin] = ()
    finishing: Sequence[Plugin] = ()
    """Completes what is known to be valid."""
    validating: Sequence[Plugin] = ()
