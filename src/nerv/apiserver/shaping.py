"""From what a client sent to what the schema says: unknown fields, types, canonical values, defaults, validation."""

from __future__ import annotations

from collections.abc import Sequence

from nerv.apiserver.registry import Served
from nerv.http.messages import Request
from nerv.kube import defaults, errors, fields, resources, schemas, validation
from nerv.kube.fields import FieldError
from nerv.kube.objects import GroupVersionKind, Object, split_api_version
from nerv.kube.resources import Resource

_MODES = ("", "Ignore", "Strict", "Warn")


def field_validation(request: Request) -> str:
    """Strict, Warn or Ignore; Warn if the client does not say. Raises errors.Invalid."""
    mode = request.param("fieldValidation")
    if mode not in _MODES:
        wrong = fields.not_supported("fieldValidation", mode, _MODES)
        raise errors.invalid_options(request.method, wrong.cause())
    return mode or "Warn"


def decode(served: Served, obj: Object, mode: str, warnings: list[str], body: bytes = b"") -> None:
    """Drop unknown fields, check types, write values canonically and fill in defaults, in place.

    `body` is looked through for repeated keys in mode Strict. Raises errors.BadRequest.
    """
    schema = served.schema
    if schema is None:
        return
    resource = served.resource
    unknown = schemas.prune(obj, schema)
    repeated = schemas.duplicate_fields(body) if body and mode == "Strict" else []
    # a field that is unknown is said once, however often it stands there
    problems = [problem for problem in repeated if problem not in {f'duplicate field "{path}"' for path in unknown}]
    problems += [f'unknown field "{path}"' for path in unknown]
    if problems and mode == "Strict":
        raise errors.BadRequest(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(problems)}"
        )
    if mode == "Warn":
        warnings.extend(problem for problem in problems if problem not in warnings)
    if served.builtin:
        mismatch = schemas.type_error(obj, schema)
        if mismatch:
            raise errors.BadRequest(mismatch)
        try:
            schemas.normalise(obj, schema)
        except ValueError as error:
            raise errors.BadRequest(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
            ) from None
    default(served, obj)


def default(served: Served, obj: Object) -> None:
    """Fill in defaults, in place."""
    if served.builtin:
        defaults.fill(obj)
    elif served.schema is not None:
        schemas.default(obj, served.schema)


def validate(served: Served, obj: Object, old: Object | None, subresource: str) -> None:
    """Raises errors.Invalid with every problem."""
    if served.schema is None:
        return
    found: Sequence[FieldError]
    if served.builtin:
        found = validation.validate(obj, old, subresource=subresource)
    else:
        found = [*validation.validate_metadata(obj, old), *schemas.validate(obj, served.schema, old)]
    if found:
        name = obj["metadata"].get("name") or obj["metadata"].get("generateName") or ""
        causes = [problem.cause() for problem in found]
        raise errors.invalid(served.resource.kind, served.resource.group, name, causes)


def identify(served: Served, obj: Object) -> Object:
    """Fill in and check apiVersion, kind and metadata. Raises errors.BadRequest."""
    resource = served.resource
    api_version, kind = obj.setdefault("apiVersion", resource.api_version), obj.setdefault("kind", resource.kind)
    if served.builtin and (kind, api_version) != (resource.kind, resource.api_version):
        raise errors.BadRequest(_other_kind(resource, str(kind), str(api_version)))
    if kind != resource.kind:
        raise errors.BadRequest(
            f"the object provided is unrecognized: kind {kind} does not belong to {resource.qualified}"
        )
    if api_version != resource.api_version:
        raise errors.BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise errors.BadRequest("the object provided is unrecognized: metadata is no object")
    return obj


def _other_kind(resource: Resource, kind: str, api_version: str) -> str:
    """What the server's decoder says of an object of another kind: known ones do not convert, others are unknown."""
    group, version = split_api_version(api_version)
    told = f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
    if resources.builtin(GroupVersionKind(group, version, kind)) is None:
        return f'{told}no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:100"'
    package = resource.group.partition(".")[0] or "core"
    return f"{told}converting ({version}.{kind}) to ({package}.{resource.kind}): unknown conversion"
