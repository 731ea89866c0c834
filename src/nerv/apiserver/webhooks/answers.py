"""What an HTTP answer of a webhook is taken for, in the words of client-go's REST client. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson

from nerv.apiserver.webhooks.decoding import Place
from nerv.apiserver.webhooks.failures import CallFailed
from nerv.apiserver.webhooks.shapes import HEAD, REVIEWS, STATUS
from nerv.kube.objects import Object

_SUCCESSES = range(200, 207)
_MOST_TEXT = 2048
_NO_TEXT = "unknown"
_WORDS = {
    HTTPStatus.BAD_REQUEST: "the server rejected our request for an unknown reason",
    HTTPStatus.UNAUTHORIZED: "the server has asked for the client to provide credentials",
    HTTPStatus.NOT_FOUND: "the server could not find the requested resource",
    HTTPStatus.METHOD_NOT_ALLOWED: "the server does not allow this method on the requested resource",
    HTTPStatus.CONFLICT: "the server reported a conflict",
    HTTPStatus.UNPROCESSABLE_ENTITY: "the server rejected our request due to an error in our request",
    HTTPStatus.TOO_MANY_REQUESTS: "the server has received too many requests and has asked us to try again later",
    HTTPStatus.SERVICE_UNAVAILABLE: "the server is currently unable to handle the request",
    HTTPStatus.GATEWAY_TIMEOUT: (
        "the server was unable to return a response in the time allotted, but may still be processing the request"
    ),
}
_TELLING = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""Their texts say who asked for what, or what is taken."""
_NOT_ACCEPTED = "the server was unable to respond with a content type that the client supports"
_ESCAPES = {'"': '\\"', "\\": "\\\\"} | dict(
    zip("\a\b\f\n\r\t\v", ("\\a", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v"), strict=True)
)


def read(status: int, content_type: str, body: bytes, review: Object) -> Object:
    """The answer to `review`, its fields of the types that they must have. Raises CallFailed for what is none."""
    if status not in _SUCCESSES:
        raise CallFailed(_refusal(status, content_type, body))
    if not body:
        raise CallFailed(f"0-length response with status code: {status} and content type: {content_type}")
    answer = _parsed(body)
    try:
        head = HEAD.decode(answer, Place())
    except CallFailed as failure:
        raise CallFailed(f"couldn't get version/kind; json parse error: {failure}") from None
    _check_kind(head, review)
    return REVIEWS[review["kind"]].decode(answer, Place())


def kind_of(answer: Object) -> str:
    """`admission.k8s.io/v1, Kind=AdmissionReview`: group, version and kind as messages name them."""
    group, _, version = (answer.get("apiVersion") or "").rpartition("/")
    return f"{group}/{version}, Kind={answer.get('kind') or ''}"


def quoted(text: str) -> str:
    """Text in quotes, on one line, as Go's %q writes it. Surrogates are bytes that are no UTF-8."""
    return f'"{"".join(map(_escaped, text))}"'


def _parsed(body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}") from None
    return {} if answer is None else answer


def _check_kind(head: Object, review: Object) -> None:
    """What is missing is taken to be as it was asked for. Raises CallFailed."""
    asked, wanted = review["apiVersion"], review["kind"]
    given, kind = head.get("apiVersion") or asked, head.get("kind") or wanted
    if (given, kind) == (asked, wanted):
        return
    if given.count("/") > 1:
        raise CallFailed(f"unexpected GroupVersion string: {given}")
    group, _, version = given.rpartition("/")
    if kind == "Status" or (kind == wanted and given == f"{asked.partition('/')[0]}/v1beta1"):
        into = asked.partition("/")[2]
        raise CallFailed(f"converting ({version}.{kind}) to ({into}.{wanted}): unknown conversion")
    where = f"{group}/{version}" if group else version
    raise CallFailed(f'no kind "{kind}" is registered for version "{where}" in scheme "pkg/runtime/scheme.go:100"')


def _refusal(status: int, content_type: str, body: bytes) -> str:
    """A Status of a failure says its own message; all else is worded by its code."""
    said = _status_message(body)
    if said is not None:
        return said
    is_text = not content_type or content_type.lower().startswith("text/")
    text = body[:_MOST_TEXT].decode("utf-8", "surrogateescape").strip() if is_text else _NO_TEXT
    if status in _WORDS:
        return _WORDS[HTTPStatus(status)]
    if status == HTTPStatus.NOT_ACCEPTABLE and text in ("", _NO_TEXT):
        return _NOT_ACCEPTED
    if status in _TELLING:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"an error on the server ({quoted(text)}) has prevented the request from succeeding"
    return f"the server responded with the status code {status} but did not return more information"


def _status_message(body: bytes) -> str | None:
    """The message of a Status that is a failure's. What names no kind is no Status."""
    try:
        answer = STATUS.decode(orjson.loads(body), Place())
    except (orjson.JSONDecodeError, CallFailed):
        return None
    if answer.get("kind") == "Status" and answer.get("status") == "Failure":
        message: str = answer.get("message", "")
        return message
    return None


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
