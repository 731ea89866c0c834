"""Who sent a webhook: the token or signature by which each type of sender is known. Pure.

Every comparison takes the same time whether it fails early or late.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from nerv import documents
from nerv.errors import NervError


class Refused(NervError):
    """The request does not come from who it says, or is of an event that is not wanted."""


@dataclass(frozen=True)
class Hook:
    """A request as validation sees it. Header names are lower-case."""

    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


@dataclass(frozen=True)
class Sender:
    """How one type is verified; `event` names the header that says what happened (empty: every event is wanted)."""

    verify: Callable[[Hook, str], None]
    event: str = ""


def validate(kind: str, events: list[str], hook: Hook, token: str) -> None:
    """Raises Refused."""
    sender = SENDERS.get(kind)
    if sender is None:
        raise Refused(f"receiver type '{kind}' not supported")
    sender.verify(hook, token)
    if sender.event and events:
        event = hook.header(sender.event)
        if event.lower() not in (each.lower() for each in events):
            raise Refused(f"the {kind} event '{event}' is not authorised")


def payload(hook: Hook) -> object:
    """The body as JSON, also where a form carries it. Raises Refused."""
    body: bytes | str = hook.body
    if hook.header("content-type").startswith("application/x-www-form-urlencoded"):
        body = parse_qs(hook.body.decode("utf-8", "replace")).get("payload", [""])[0]
    try:
        return documents.load_json(body)
    except documents.DocumentError:
        raise Refused("the payload is not JSON") from None


def _anybody(hook: Hook, token: str) -> None:
    """The path is the secret."""


def _json(hook: Hook, token: str) -> None:
    payload(hook)


def _token_in(header: str) -> Callable[[Hook, str], None]:
    def verify(hook: Hook, token: str) -> None:
        if not hmac.compare_digest(hook.header(header).encode(), token.encode()):
            raise Refused(f"the {header} header value does not match the receiver token")

    return verify


def _signed(*headers: str) -> Callable[[Hook, str], None]:
    """`sha256=...` (or sha1, sha512) over the body, in the first of the headers that is there."""

    def verify(hook: Hook, token: str) -> None:
        signature = next((hook.header(name) for name in headers if hook.header(name)), "")
        algorithm, _, given = signature.partition("=")
        if algorithm not in ("sha1", "sha256", "sha512"):
            raise Refused("the signature header is missing or invalid")
        _compare(given, token, hook.body, algorithm)

    return verify


def _nexus(hook: Hook, token: str) -> None:
    _compare(hook.header("x-nexus-webhook-signature"), token, hook.body, "sha1")
    payload(hook)


def _compare(given: str, token: str, body: bytes, algorithm: str) -> None:
    expected = hmac.new(token.encode(), body, getattr(hashlib, algorithm)).hexdigest()
    if not token or not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise Refused("the signature does not match the payload")


_GITHUB = _signed("x-hub-signature-256", "x-hub-signature")
SENDERS: Mapping[str, Sender] = {
    "generic": Sender(_anybody),
    "generic-hmac": Sender(_signed("x-signature")),
    "github": Sender(_GITHUB, "x-github-event"),
    "gitlab": Sender(_token_in("x-gitlab-token"), "x-gitlab-event"),
    "bitbucket": Sender(_GITHUB, "x-event-key"),
    "harbor": Sender(_token_in("authorization")),
    "dockerhub": Sender(_json),
    "quay": Sender(_json),
    "nexus": Sender(_nexus),
    "acr": Sender(_json),
}
