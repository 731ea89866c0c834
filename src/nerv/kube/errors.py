"""What an API server answers when it refuses: a Status object, and one exception class per situation.

    NervError
    └── ApiError              any Status; `.code`, `.reason`, `.status`
        ├── BadRequest        400    ├── Gone              410 (a watch or a continue token is too old)
        ├── Unauthorized      401    ├── UnsupportedMedia  415
        ├── Forbidden         403    ├── Invalid           422
        ├── NotFound          404    ├── TooManyRequests   429
        │   └── NoMatch       the kind itself is unknown
        ├── MethodNotAllowed  405    ├── InternalError     500
        ├── AlreadyExists     409    ├── Unreachable       no answer at all
        └── Conflict          409

The same classes are raised inside our server and by the client, so that both ends speak of the same situations.
Codes, reasons and wording follow k8s.io/apimachinery/pkg/api/errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nerv.errors import NervError

Status = dict[str, Any]
Cause = Mapping[str, str]


def status(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> Status:
    """A Status of a failure, as it goes over the wire."""
    answer: Status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        answer["reason"] = reason
    if details is not None:
        answer["details"] = dict(details)
    answer["code"] = code
    return answer


def success(details: Mapping[str, Any] | None = None) -> Status:
    """The Status that answers a completed deletion."""
    answer: Status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        answer["details"] = dict(details)
    return answer


class ApiError(NervError):
    """A Status of failure. `details` names the object, as far as it is known."""

    default_code: ClassVar[int] = 500
    default_reason: ClassVar[str] = "InternalError"

    def __init__(
        self, message: str, details: Mapping[str, Any] | None = None, *, code: int = 0, reason: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.reason = self.default_reason if reason is None else reason
        self.status = status(self.code, self.reason, message, details)

    @property
    def details(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status.get("details") or {}
        return found

    @property
    def causes(self) -> list[dict[str, str]]:
        """`reason`, `message` and `field` of each single thing that is wrong."""
        found: list[dict[str, str]] = self.details.get("causes") or []
        return found


class BadRequest(ApiError):
    """The request makes no sense."""

    default_code = 400
    default_reason = "BadRequest"


class Unauthorized(ApiError):
    """Who asks is not known."""

    default_code = 401
    default_reason = "Unauthorized"


class Forbidden(ApiError):
    """Authorization or admission refused."""

    default_code = 403
    default_reason = "Forbidden"


class NotFound(ApiError):
    """No such object."""

    default_code = 404
    default_reason = "NotFound"


class NoMatch(NotFound):
    """No such kind: its CustomResourceDefinition is not installed."""


class MethodNotAllowed(ApiError):
    """The resource has no such verb."""

    default_code = 405
    default_reason = "MethodNotAllowed"


class NotAcceptable(ApiError):
    """None of the accepted media types is served."""

    default_code = 406
    default_reason = "NotAcceptable"


class AlreadyExists(ApiError):
    """Created twice."""

    default_code = 409
    default_reason = "AlreadyExists"


class Conflict(ApiError):
    """Someone else changed the object, or owns the applied field."""

    default_code = 409
    default_reason = "Conflict"


class Gone(ApiError):
    """A resourceVersion is older than the kept history: list again."""

    default_code = 410
    default_reason = "Expired"


class UnsupportedMedia(ApiError):
    """The body's media type is not understood."""

    default_code = 415
    default_reason = "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks its schema or a rule."""

    default_code = 422
    default_reason = "Invalid"


class TooManyRequests(ApiError):
    """Try again later."""

    default_code = 429
    default_reason = "TooManyRequests"


class InternalError(ApiError):
    """The server failed."""


class ServiceUnavailable(ApiError):
    """The server, or what it asks, is not there yet."""

    default_code = 503
    default_reason = "ServiceUnavailable"


class Timeout(ApiError):
    """The server gave up."""

    default_code = 504
    default_reason = "Timeout"


class Unreachable(ApiError):
    """No server answered; `message` says which and why."""

    default_code = 503
    default_reason = ""


_BY_REASON: dict[str, type[ApiError]] = {
    "BadRequest": BadRequest,
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "NotFound": NotFound,
    "MethodNotAllowed": MethodNotAllowed,
    "NotAcceptable": NotAcceptable,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Expired": Gone,
    "Gone": Gone,
    "UnsupportedMediaType": UnsupportedMedia,
    "Invalid": Invalid,
    "TooManyRequests": TooManyRequests,
    "InternalError": InternalError,
    "ServiceUnavailable": ServiceUnavailable,
    "Timeout": Timeout,
}
_BY_CODE: dict[int, type[ApiError]] = {
    kind.default_code: kind
    for kind in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, Conflict, Gone,
        UnsupportedMedia, Invalid, TooManyRequests, InternalError, ServiceUnavailable, Timeout,
    )
}  # fmt: skip


def from_status(answer: Mapping[str, Any]) -> ApiError:
    """The exception for a Status that was received."""
    reason = str(answer.get("reason") or "")
    code = int(answer.get("code") or 500)
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
    return kind(str(answer.get("message") or reason or f"HTTP {code}"), answer.get("details"), code=code, reason=reason)


def qualified(plural: str, group: str) -> str:
    """`pods`, `deployments.apps`: how messages name a resource."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> NotFound:
    """`pods "x" not found`."""
    return NotFound(f'{qualified(plural, group)} "{name}" not found', {"name": name, **_group(group), "kind": plural})


def already_exists(plural: str, group: str, name: str) -> AlreadyExists:
    """`pods "x" already exists`."""
    return AlreadyExists(
        f'{qualified(plural, group)} "{name}" already exists', {"name": name, **_group(group), "kind": plural}
    )


def conflict(plural: str, group: str, name: str, why: str = "") -> Conflict:
    """The object was changed since it was read, or `why`."""
    reason = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Conflict(
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {reason}',
        {"name": name, **_group(group), "kind": plural},
    )


def forbidden(plural: str, group: str, name: str, why: str) -> Forbidden:
    """`pods "x" is forbidden: why`; without a name it is about the whole resource."""
    named = f' "{name}"' if name else ""
    details = {**({"name": name} if name else {}), **_group(group), "kind": plural}
    return Forbidden(f"{qualified(plural, group)}{named} is forbidden: {why}", details)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> Invalid:
    """`Deployment.apps "x" is invalid: field: what`, one cause or several in brackets. Each cause has `reason`,
    `message` and `field`."""
    texts = list(dict.fromkeys(f"{cause['field']}: {cause['message']}" for cause in causes))
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    named = {"name": name} if name else {}
    details = {**named, **_group(group), "kind": kind, "causes": [dict(cause) for cause in causes]}
    return Invalid(f'{qualified(kind, group)} "{name}" is invalid: {text}', details)


def invalid_options(method: str, cause: Cause) -> Invalid:
    """`CreateOptions.meta.k8s.io "" is invalid: ...`: a query parameter of a request by `method` is wrong."""
    kinds = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
    return invalid(kinds.get(method, "ListOptions"), "meta.k8s.io", "", [cause])


def _group(group: str) -> dict[str, str]:
    return {"group": group} if group else {}
