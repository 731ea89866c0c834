"""What an HTTP answer of a webhook is taken for, in the words of client-go's REST client. Pure."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from nerv.kube.objects import Object

_SUCCESSES = range(200, 207)
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


class CallFailed(Exception):
    """The webhook could not be asked; the text is that of the API server."""


def read(status: int, content_type: str, body: bytes, review: Object) -> Object:
    """The answer to `review`. Raises CallFailed for what is none."""
    if status not in _SUCCESSES:
        raise CallFailed(_refusal(status, content_type, body))
    if not body:
        raise CallFailed(f"0-length response with status code: {status} and content type: {content_type}")
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(answer, dict):
        raise CallFailed("couldn't get version/kind; json parse error: the answer is no object")
    asked, kind = review["apiVersion"], review["kind"]
    group, _, version = asked.partition("/")
    given = answer.get("apiVersion") or asked
    if (given, answer.get("kind") or kind) == (asked, kind):
        return answer
    if given.startswith(f"{group}/"):
        other = given.partition("/")[2]
        raise CallFailed(f"converting ({other}.{kind}) to ({version}.{kind}): unknown conversion")
    raise CallFailed(f"expected {asked}, Kind={kind}, got {given}, Kind={answer.get('kind')}")


def _refusal(status: int, content_type: str, body: bytes) -> str:
    """A Status says its own message; all else is worded by its code."""
    said = _status_message(body)
    if said is not None:
        return said
    is_text = not content_type or content_type.lower().startswith("text/")
    text = body.decode("utf-8", "replace").strip() if is_text else _NO_TEXT
    if status in _WORDS:
        return _WORDS[HTTPStatus(status)]
    if status in _TELLING:
        return text
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f'an error on the server ("{text}") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"


def _status_message(body: bytes) -> str | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(answer, dict) and answer.get("kind") == "Status" and answer.get("status") != "Success":
        return str(answer.get("message") or "")
    return None
