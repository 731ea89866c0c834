"""`x-kubernetes-validations`: CEL rules of structural schemas over `self` and `oldSelf`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nerv.kube import fields
from nerv.kube.fields import FieldError
from nerv.kube.schemas.view import MISSING, Schema


def present(schema: Schema) -> bool:
    """Whether there are any rules in this node or below it."""
    if schema.raw.get("x-kubernetes-validations"):
        return True
    below = (*schema.properties.values(), *(node for node in (schema.items, schema.additional) if node is not None))
    return any(present(node) for node in below if node.raw)


def check(value: Any, schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    """The rules of this node and all below it. `old` is MISSING when there is no former value to compare with."""
    for rule in schema.raw.get("x-kubernetes-validations") or ():
        yield from _rule(rule, value, schema, path, old)
    if isinstance(value, dict):
        former = old if isinstance(old, dict) else {}
        for name, item in value.items():
            known = schema.properties.get(name) or schema.additional
            if known is not None and known.raw:
                yield from check(item, known, fields.child(path, name), former.get(name, MISSING))
    elif isinstance(value, list) and schema.items is not None:
        for position, item in enumerate(value):
            yield from check(item, schema.items, fields.index(path, position), _former(item, schema, old))


def _former(item: Any, schema: Schema, old: Any) -> Any:
    """The old item of the same identity: only lists of type map have one (sets replace their items)."""
    if schema.list_type != "map" or not isinstance(old, list) or not isinstance(item, dict):
        return MISSING
    for former in old:
        if isinstance(former, dict) and all(former.get(name) == item.get(name) for name in schema.keys):
            return former
    return MISSING


def _rule(rule: Mapping[str, Any], value: Any, schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    from nerv.kube import cel  # the CEL library is large: loaded by the first CRD that has rules

    transition = cel.mentions(rule["rule"], "oldSelf")
    if transition and old is MISSING and not rule.get("optionalOldSelf"):
        return
    variables: dict[str, Any] = {"self": value}
    optionals: dict[str, Any] = {}
    if transition and rule.get("optionalOldSelf"):
        optionals["oldSelf"] = None if old is MISSING else old
    elif transition:
        variables["oldSelf"] = old
    try:
        if cel.evaluate(rule["rule"], variables, optionals) is True:
            return
        message = rule.get("message") or _computed(rule, variables, optionals) or f"failed rule: {rule['rule'].strip()}"
    except cel.CelError as error:
        message = f"{error} evaluating rule: {rule.get('message') or rule['rule'].strip()}"
    where = fields.child(path, rule["fieldPath"].lstrip(".")) if rule.get("fieldPath") else path
    yield _error(rule.get("reason", ""), where or "<nil>", schema.type or "object", message)


def _error(reason: str, path: str, type: str, message: str) -> FieldError:
    if reason == fields.FORBIDDEN:
        return fields.forbidden(path, message)
    if reason == fields.REQUIRED:
        return fields.required(path, message)
    return fields.duplicate(path, type) if reason == fields.DUPLICATE else fields.invalid(path, type, message)


def _computed(rule: Mapping[str, Any], variables: dict[str, Any], optionals: dict[str, Any]) -> str:
    from nerv.kube import cel

    if not rule.get("messageExpression"):
        return ""
    try:
        text = cel.evaluate(rule["messageExpression"], variables, optionals)
    except cel.CelError:
        return ""  # the API server falls back to the plain message, too
    return text if isinstance(text, str) else ""
