"""cert-manager's webhook: its authority in a Secret of its own, its server at the webhook pods' addresses."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.certificates import KeyPair
from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.controllers.services.certificates import admission, resources
from nerv.controllers.services.context import Context
from nerv.controllers.services.webhooks import authority, reviews
from nerv.controllers.serving import ServerController, WebhookServer
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS

_KEY = Key("", "webhook")
_FLAG = "--dynamic-serving-dns-names="
_PORT = "10250"


def webhook_server(context: Context) -> Controller:
    """The controller of the webhook server."""
    running = Presence.of(context.informers, resources.WEBHOOK_IMAGE)
    server = WebhookServer(context.config, "cert-manager", reviews.handler(admission.reviews(), {}))
    reconciler = _Webhook(context, running, context.informers.of(SECRETS), server)
    watches = (running.watch(lambda: (_KEY,)), Watch(reconciler.secrets, reconciler.secret_changed))
    return ServerController("cert-manager-webhook", reconciler.reconcile, watches, context.clock, server)


class _Webhook:
    """Remembers its serving certificate, which the real webhook keeps in memory, too."""

    def __init__(self, context: Context, running: Presence, secrets: Informer, server: WebhookServer) -> None:
        self.secrets = secrets
        self._context = context
        self._running = running
        self._server = server
        self._serving: tuple[KeyPair, KeyPair] | None = None

    def secret_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The authority's Secret."""
        secret = new if new is not None else old
        pod = self._running.leader()
        if secret is None or pod is None:
            return ()
        return (_KEY,) if (objects.namespace(secret), objects.name(secret)) == _place(pod) else ()

    async def reconcile(self, key: Key) -> Outcome:
        """Serve where the webhook's pods are ready; nowhere otherwise."""
        pods = self._running.ready()
        if not pods:
            await self._server.withdraw()
            return Done()
        ca = await self._authority(pods[0])
        if self._serving is None or self._serving[0] != ca:
            self._serving = (ca, authority.serving(ca, _names(pods[0])))
        port = int(presence.option(pods[0], resources.WEBHOOK_IMAGE, "--secure-port", _PORT))
        await self._server.serve(map(presence.address, pods), (port,), self._serving[1])
        return Done()

    async def _authority(self, pod: Object) -> KeyPair:
        namespace, name = _place(pod)
        secret = self.secrets.get(namespace, name)
        ca = authority.pair_of(secret) or authority.create("cert-manager-webhook-ca")
        values = {"ca.crt": ca.certificate, "tls.crt": ca.certificate, "tls.key": ca.key}
        mark = {"annotations": {resources.ALLOW_INJECTION: "true"}}
        await authority.keep(self._context.writer, secret, namespace, name, values, metadata=mark)
        return ca


def _place(pod: Object) -> tuple[str, str]:
    flag = "--dynamic-serving-ca-secret-name"
    return objects.namespace(pod), presence.option(pod, resources.WEBHOOK_IMAGE, flag, "cert-manager-webhook-ca")


def _names(pod: Object) -> list[str]:
    """What the webhook is called, the most precise name first: certificates are about one name."""
    words = presence.arguments(pod, resources.WEBHOOK_IMAGE)
    names = [word.removeprefix(_FLAG) for word in words if word.startswith(_FLAG)]
    space = objects.namespace(pod)
    named = [name.replace("$(POD_NAMESPACE)", space) for name in names]
    return sorted(named, key=len, reverse=True) or [f"cert-manager-webhook.{space}.svc"]
