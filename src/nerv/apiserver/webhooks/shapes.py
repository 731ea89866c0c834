"""The reviews that webhooks answer with, field by field (admission.k8s.io/v1, apiextensions.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nerv.apiserver.webhooks.decoding import Anything, Bytes, ListOf, MapOf, Scalar, Structure

_STRING: Final = Scalar("string")
_INT32: Final = Scalar("int32", int, 32)
_UID: Final = Scalar("types.UID")
_TYPE: Final = {"kind": _STRING, "apiVersion": _STRING}
_CAUSE = Structure(
    "v1.StatusCause", "StatusCause", {"reason": Scalar("v1.CauseType"), "message": _STRING, "field": _STRING}
)
_DETAILS = Structure(
    "v1.StatusDetails",
    "StatusDetails",
    {
        "name": _STRING,
        "group": _STRING,
        "kind": _STRING,
        "uid": _UID,
        "causes": ListOf(_CAUSE, "[]v1.StatusCause"),
        "retryAfterSeconds": _INT32,
    },
)
_LIST = {"selfLink": _STRING, "resourceVersion": _STRING, "continue": _STRING}
STATUS = Structure(
    "v1.Status",
    "Status",
    {
        **_TYPE,
        "metadata": Structure("v1.ListMeta", "ListMeta", {**_LIST, "remainingItemCount": Scalar("int64", int, 64)}),
        "status": _STRING,
        "message": _STRING,
        "reason": Scalar("v1.StatusReason"),
        "details": _DETAILS,
        "code": _INT32,
    },
)
HEAD = Structure(
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }', "", _TYPE
)
"""What an answer is looked at for first."""
_ADMISSION = Structure(
    "v1.AdmissionResponse",
    "AdmissionResponse",
    {
        "uid": _UID,
        "allowed": Scalar("bool", bool),
        "status": STATUS,
        "patch": Bytes(),
        "patchType": Scalar("v1.PatchType"),
        "auditAnnotations": MapOf(_STRING, "map[string]string"),
        "warnings": ListOf(_STRING, "[]string"),
    },
)
_CONVERSION = Structure(
    "v1.ConversionResponse",
    "ConversionResponse",
    {"uid": _UID, "convertedObjects": ListOf(Anything(), "[]runtime.RawExtension"), "result": STATUS},
)
REVIEWS: Mapping[str, Structure] = {
    # what was asked comes back at times, and is not read
    kind: Structure(
        f"v1.{kind}", kind, {**_TYPE, "request": Structure(f"v1.{request}", request, {}), "response": response}
    )
    for kind, request, response in (
        ("AdmissionReview", "AdmissionRequest", _ADMISSION),
        ("ConversionReview", "ConversionRequest", _CONVERSION),
    )
}
