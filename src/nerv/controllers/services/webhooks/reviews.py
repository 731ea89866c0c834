"""The AdmissionReview and ConversionReview protocols (admission.k8s.io/v1, apiextensions.k8s.io/v1)."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from nerv import documents
from nerv.http.messages import Handler, Request, Response
from nerv.kube.objects import Object


@dataclass(frozen=True)
class Allowed:
    """The request may go on, changed by JSON patch operations where there are any."""

    patch: Sequence[Object] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Denied:
    """The request is refused. `message` is what users read after `denied the request: `."""

    message: str
    code: int = 403
    reason: str = "Forbidden"


Verdict = Allowed | Denied
Review = Callable[[Object], Verdict | Awaitable[Verdict]]
"""Judges the `request` of an AdmissionReview."""
Convert = Callable[[Object, str], Object]
"""An object in another version of its kind. Raises ValueError where that cannot be."""


def handler(
    admissions: Mapping[str, Review], conversions: Mapping[str, Convert], healthy: Sequence[str] = ()
) -> Handler:
    """Routes by path; `healthy` paths answer 200."""

    async def answer(request: Request) -> Response:
        if request.path in healthy:
            return Response(200, b"ok", "text/plain")
        review = admissions.get(request.path)
        convert = conversions.get(request.path)
        if review is None and convert is None:
            return Response(404, b"404 page not found", "text/plain")
        try:
            body = documents.load_json(request.body)
            asked = body["request"]
        except (documents.DocumentError, KeyError, TypeError):
            return Response(400, b"no review", "text/plain")
        if review is not None:
            verdict = review(asked)
            verdict = await verdict if inspect.isawaitable(verdict) else verdict
            response = _admission(asked, verdict)
        else:
            assert convert is not None
            response = _conversion(asked, convert)
        return Response(200, documents.dump_json({**_head(body), "response": response}))

    return answer


def _head(body: Object) -> Object:
    return {"apiVersion": body.get("apiVersion"), "kind": body.get("kind")}


def _admission(request: Object, verdict: Verdict) -> Object:
    if isinstance(verdict, Denied):
        status = {"status": "Failure", "message": verdict.message, "reason": verdict.reason, "code": verdict.code}
        return {"uid": request["uid"], "allowed": False, "status": status}
    response: Object = {"uid": request["uid"], "allowed": True}
    if verdict.patch:
        operations = documents.dump_json(list(verdict.patch))
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(operations).decode()}
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    return response


def _conversion(request: Object, convert: Convert) -> Object:
    try:
        converted = [convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
    except ValueError as error:
        return {"uid": request["uid"], "result": {"status": "Failure", "message": str(error)}}
    return {"uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}}


def relabel(obj: Object, api_version: str) -> Object:
    """The conversion between versions that differ in name alone."""
    return {**obj, "apiVersion": api_version}
