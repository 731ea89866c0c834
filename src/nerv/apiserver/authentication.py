"""Who asks: a verified client certificate, else a service account's token, else nobody in particular."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from nerv.apiserver.identity import ANONYMOUS, AUTHENTICATED, User, service_account
from nerv.apiserver.store import Store
from nerv.apiserver.tokens import BadToken, Claims, Signer
from nerv.http.messages import Request
from nerv.kube import errors

_KEPT = 256
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_CREDENTIAL = "authentication.kubernetes.io/credential-id"


class Authenticator:
    """Remembers which tokens it has verified, because a signature costs more than the rest of a read."""

    def __init__(self, store: Store, signer: Signer, now: Callable[[], datetime]) -> None:
        self._store = store
        self._signer = signer
        self._now = now
        self._verified: dict[str, Claims] = {}

    def identify(self, request: Request) -> User:
        """Raises errors.Unauthorized for credentials that are not good."""
        if request.peer is not None:
            return User(request.peer.common_name, (*request.peer.organizations, AUTHENTICATED))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return ANONYMOUS
        if scheme.lower() == "bearer" and token:
            try:
                return self.review(token.strip(), ())[0]
            except BadToken:
                pass
        raise errors.Unauthorized("Unauthorized")

    def review(self, token: str, audiences: tuple[str, ...]) -> tuple[User, tuple[str, ...]]:
        """Whose token it is, and which of `audiences` (none: this server) it is for. Raises BadToken."""
        now = self._now().timestamp()
        claims = self._verified.get(token)
        if claims is None or claims.expires <= now:
            claims = self._signer.check(token, now)
            if len(self._verified) >= _KEPT:
                self._verified.clear()
            self._verified[token] = claims
        self._must_live(claims)
        wanted = audiences or self._signer.audiences
        shared = tuple(item for item in wanted if item in claims.audiences)
        if not shared:
            raise BadToken("token is for another audience")
        return _user(claims), shared

    def _must_live(self, claims: Claims) -> None:
        """A token ends with its service account, and with the pod that it is bound to."""
        account = self._store.get("serviceaccounts", claims.namespace, claims.name)
        if account is None or account.uid != claims.uid:
            raise BadToken("the service account is gone")
        if claims.pod_name:
            pod = self._store.get("pods", claims.namespace, claims.pod_name)
            if pod is None or pod.uid != claims.pod_uid:
                raise BadToken("the pod is gone")


def _user(claims: Claims) -> User:
    user = service_account(claims.namespace, claims.name, claims.uid)
    extra = {_CREDENTIAL: (f"JTI={claims.identifier}",)}
    if claims.pod_name:
        extra |= {_POD_NAME: (claims.pod_name,), _POD_UID: (claims.pod_uid,)}
    return User(user.name, user.groups, user.uid, extra)
