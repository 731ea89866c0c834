"""What webhooks may answer, and what an API server says of it. The tests run all of it on both engines."""

from __future__ import annotations

import base64
import json
from typing import Any

TEXT, JSON = "text/plain", "application/json"
_STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no entry", "code": 403}
_REVIEW = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
_OLD = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {"allowed": True}}
CALLED, _READ = "failed to call webhook: ", "received invalid webhook response: "
ANSWERS = (
    (301, TEXT, "boom", f"{CALLED}the server responded with the status code 301 but did not return more information"),
    (400, TEXT, "boom", f"{CALLED}the server rejected our request for an unknown reason"),
    (401, TEXT, "boom", f"{CALLED}the server has asked for the client to provide credentials"),
    (403, TEXT, "boom", f"{CALLED}boom"),
    (403, JSON, json.dumps(_STATUS), f"{CALLED}no entry"),
    (404, TEXT, "boom", f"{CALLED}the server could not find the requested resource"),
    (405, TEXT, "boom", f"{CALLED}the server does not allow this method on the requested resource"),
    (409, TEXT, "boom", f"{CALLED}the server reported a conflict"),
    (415, TEXT, "boom", f"{CALLED}boom"),
    (418, TEXT, "boom", f"{CALLED}the server responded with the status code 418 but did not return more information"),
    (422, TEXT, "boom", f"{CALLED}the server rejected our request due to an error in our request"),
    (429, TEXT, "boom", f"{CALLED}the server has received too many requests and has asked us to try again later"),
    (500, TEXT, "boom", f'{CALLED}an error on the server ("boom") has prevented the request from succeeding'),
    (500, JSON, "{}", f'{CALLED}an error on the server ("unknown") has prevented the request from succeeding'),
    (503, TEXT, "boom", f"{CALLED}the server is currently unable to handle the request"),
    (
        504,
        TEXT,
        "boom",
        f"{CALLED}the server was unable to return a response in the time allotted, but may still be processing the "
        "request",
    ),
    (200, JSON, "", f"{CALLED}0-length response with status code: 200 and content type: application/json"),
    (201, JSON, "{}", f"{_READ}webhook response was absent"),
    (200, JSON, json.dumps(_REVIEW), f"{_READ}webhook response was absent"),
    (
        200,
        JSON,
        json.dumps(_OLD),
        f"{CALLED}converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
    ),
)
"""Status, type and text of a webhook's answer, and what the API server says of it."""
_ODD = b'a "b"\n\tc \\ \x01 \xff \xc3\xa4 \xe2\x80\xa8 \x7f end\n'
_ODD_QUOTED = '"a \\"b\\"\\n\\tc \\\\ \\x01 \\xff \u00e4 \\u2028 \\x7f end"'
_BROKEN = "has prevented the request from succeeding"
_NOT_ACCEPTED = "the server was unable to respond with a content type that the client supports"
TEXTS = (
    (500, TEXT, _ODD, f"an error on the server ({_ODD_QUOTED}) {_BROKEN}"),
    (500, TEXT, b"x" * 3000, f'an error on the server ("{"x" * 2048}") {_BROKEN}'),
    (403, TEXT, b"x" * 3000, "x" * 2048),
    (403, "application/octet-stream", b"x", "unknown"),
    (406, TEXT, b"", _NOT_ACCEPTED),
    (406, "application/octet-stream", b"x", _NOT_ACCEPTED),
    (406, TEXT, b"take this", "take this"),
    (500, JSON, json.dumps({**_STATUS, "kind": None}).encode(), f'an error on the server ("unknown") {_BROKEN}'),
    (500, JSON, json.dumps({**_STATUS, "status": ""}).encode(), f'an error on the server ("unknown") {_BROKEN}'),
    (500, JSON, json.dumps({**_STATUS, "message": 5}).encode(), f'an error on the server ("unknown") {_BROKEN}'),
    (500, JSON, json.dumps({**_STATUS, "apiVersion": None}).encode(), "no entry"),
    (500, JSON, json.dumps({**_STATUS, "apiVersion": "other.io/v9"}).encode(), "no entry"),
    (500, TEXT, json.dumps(_STATUS).encode(), "no entry"),
    (207, JSON, b"{}", "the server responded with the status code 207 but did not return more information"),
)
"""More of those, after `failed to call webhook: `."""


def review(**response: Any) -> dict[str, Any]:
    return {**_REVIEW, "response": {"uid": "UID", "allowed": True, **response}}


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_ANSWER = {"uid": "UID", "allowed": True}
_PATCH = base64_of('[{"op": "add", "path": "/data/y", "value": "1"}]')
_CANNOT = f"{CALLED}json: cannot unmarshal"
_EXPECTED = f"{_READ}expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got "
_HEAD_CANNOT = f"{CALLED}couldn't get version/kind; json parse error: json: cannot unmarshal"
_HEAD_TYPE = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SCHEME = 'in scheme "pkg/runtime/scheme.go:100"'
REVIEWS: tuple[tuple[Any, str], ...] = (
    ({"apiVersion": 1}, f"{_HEAD_CANNOT} number into Go struct field .apiVersion of type string"),
    ({"kind": []}, f"{_HEAD_CANNOT} array into Go struct field .kind of type string"),
    ([], f"{_HEAD_CANNOT} array into Go value of type {_HEAD_TYPE}"),
    (None, f"{_READ}webhook response was absent"),
    ({"apiVersion": "a/b/c"}, f"{CALLED}unexpected GroupVersion string: a/b/c"),
    ({"response": _ANSWER}, f"{_EXPECTED}/, Kind="),
    ({"kind": "AdmissionReview", "response": _ANSWER}, f"{_EXPECTED}/, Kind=AdmissionReview"),
    ({"apiVersion": "admission.k8s.io/v1", "response": _ANSWER}, f"{_EXPECTED}admission.k8s.io/v1, Kind="),
    (
        {**_REVIEW, "kind": "Other"},
        f'{CALLED}no kind "Other" is registered for version "admission.k8s.io/v1" {_SCHEME}',
    ),
    ({**_REVIEW, "apiVersion": "v1"}, f'{CALLED}no kind "AdmissionReview" is registered for version "v1" {_SCHEME}'),
    (_STATUS, f"{CALLED}converting (v1.Status) to (v1.AdmissionReview): unknown conversion"),
    (
        {**_REVIEW, "response": []},
        f"{_CANNOT} array into Go struct field AdmissionReview.response of type v1.AdmissionResponse",
    ),
    (
        {**review(), "request": "x"},
        f"{_CANNOT} string into Go struct field AdmissionReview.request of type v1.AdmissionRequest",
    ),
    (
        review(allowed="false"),
        f"{_CANNOT} string into Go struct field AdmissionResponse.response.allowed of type bool",
    ),
    (review(allowed=1), f"{_CANNOT} number into Go struct field AdmissionResponse.response.allowed of type bool"),
    (review(uid=7), f"{_CANNOT} number into Go struct field AdmissionResponse.response.uid of type types.UID"),
    (review(status="x"), f"{_CANNOT} string into Go struct field AdmissionResponse.response.status of type v1.Status"),
    (
        review(status={"code": "403"}),
        f"{_CANNOT} string into Go struct field Status.response.status.code of type int32",
    ),
    (
        review(status={"code": 403.5}),
        f"{_CANNOT} number 403.5 into Go struct field Status.response.status.code of type int32",
    ),
    (
        review(status={"code": 99999999999}),
        f"{_CANNOT} number 99999999999 into Go struct field Status.response.status.code of type int32",
    ),
    (
        review(status={"reason": 5}),
        f"{_CANNOT} number into Go struct field Status.response.status.reason of type v1.StatusReason",
    ),
    (
        review(status={"details": {"causes": [5]}}),
        f"{_CANNOT} number into Go struct field StatusDetails.response.status.details.causes of type v1.StatusCause",
    ),
    (
        review(status={"details": {"causes": [{"reason": 5}]}}),
        f"{_CANNOT} number into Go struct field StatusCause.response.status.details.causes.reason of type v1.CauseType",
    ),
    (
        review(warnings="x"),
        f"{_CANNOT} string into Go struct field AdmissionResponse.response.warnings of type []string",
    ),
    (
        review(warnings=[1]),
        f"{_CANNOT} number into Go struct field AdmissionResponse.response.warnings of type string",
    ),
    (
        review(auditAnnotations=[]),
        f"{_CANNOT} array into Go struct field AdmissionResponse.response.auditAnnotations of type map[string]string",
    ),
    (review(patch=5), f"{_CANNOT} number into Go struct field AdmissionResponse.response.patch of type []uint8"),
    (review(patch="!!"), f"{CALLED}illegal base64 data at input byte 0"),
)
"""What is no review, and what the API server says of it."""
VALIDATING = (
    *REVIEWS,
    (review(patch=_PATCH), f"{_READ}validating webhook may not return response.patch"),
    (review(patchType="JSONPatch"), f"{_READ}validating webhook may not return response.patchType"),
    (review(patchType="JSONPatch", patch=_PATCH), f"{_READ}validating webhook may not return response.patch"),
)
MUTATING = (
    *REVIEWS,
    (review(patch=_PATCH), f"{_READ}webhook returned response.patch but not response.patchType"),
    (review(patchType="JSONPatch"), f"{_READ}webhook returned response.patchType but not response.patch"),
    (review(patchType="Merge", patch=_PATCH), 'unsupported patch type "Merge"'),
)
