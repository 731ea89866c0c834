"""What an AdmissionReview answers: verified as the API server does, and a denial as a Status. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nerv.apiserver.webhooks.answers import kind_of, quoted
from nerv.apiserver.webhooks.failures import CallFailed
from nerv.kube import errors
from nerv.kube.objects import Object

_BAD_REQUEST = 400


@dataclass(frozen=True)
class Response:
    """The answer of a webhook that answered properly."""

    allowed: bool = True
    status: Mapping[str, Any] = field(default_factory=dict)
    patch: bytes = b""
    patch_type: str = ""
    warnings: Sequence[str] = ()


def verified(answer: Object, review: Object, *, mutating: bool) -> Response:
    """The response to `review`. Raises CallFailed where it is none, or more than a webhook of its kind may say."""
    problem = _problem(answer, review, mutating)
    if problem:
        raise CallFailed(f"received invalid webhook response: {problem}")
    found = answer["response"]
    return Response(
        found.get("allowed", False),
        found.get("status", {}),
        found.get("patch", b""),
        found.get("patchType", ""),
        found.get("warnings", ()),
    )


def _problem(answer: Object, review: Object, mutating: bool) -> str:
    response = answer.get("response")
    if response is None:
        return "webhook response was absent"
    wanted, given = review["request"]["uid"], response.get("uid", "")
    if given != wanted:
        return f"expected response.uid={quoted(wanted)}, got {quoted(given)}"
    if kind_of(answer) != kind_of(review):
        return f"expected webhook response of {kind_of(review)}, got {kind_of(answer)}"
    return _patch_problem(response) if mutating else _patched_problem(response)


def _patch_problem(response: Object) -> str:
    patch, patch_type = response.get("patch"), response.get("patchType")
    if patch and patch_type is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and patch_type is not None:
        return "webhook returned response.patchType but not response.patch"
    return 'webhook returned invalid response.patchType of ""' if patch_type == "" else ""


def _patched_problem(response: Object) -> str:
    if response.get("patch"):
        return "validating webhook may not return response.patch"
    return "validating webhook may not return response.patchType" if "patchType" in response else ""


def denial(name: str, status: Mapping[str, Any]) -> errors.ApiError:
    """The webhook's own status under its name: no reason is added, and a code that is none of a refusal is 400."""
    said = status.get("message") or status.get("reason")
    text = f'admission webhook "{name}" denied the request{f": {said}" if said else " without explanation"}'
    code = max(status.get("code", 0), _BAD_REQUEST)
    return errors.from_status({**status, "code": code, "message": text})
