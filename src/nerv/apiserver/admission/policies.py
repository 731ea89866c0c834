"""ValidatingAdmissionPolicy: rules in CEL, bound to requests and parameters by ValidatingAdmissionPolicyBindings.

Facts: k8s.io/apiserver/pkg/admission/plugin/policy/validating (wording, variables, order).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nerv.apiserver.access.reviews import describe
from nerv.apiserver.context import Attributes, Context
from nerv.apiserver.webhooks import matching
from nerv.kube import cel, errors, selectors
from nerv.kube.objects import Object

_POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
_BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


def check(context: Context, attributes: Attributes) -> None:
    """Raises errors.ApiError for the first rule that is broken and bound with Deny."""
    for entry in context.store.entries(_BINDINGS):
        binding = entry.load()
        found = context.store.get(_POLICIES, "", binding["spec"].get("policyName", ""))
        if found is None:
            continue
        policy = found.load()
        if _applies(context, attributes, policy["spec"].get("matchConstraints") or {}) and _applies(
            context, attributes, binding["spec"].get("matchResources") or {}, optional=True
        ):
            for params in _params(context, attributes, policy, binding):
                _evaluate(context, attributes, policy, binding, params)


def _applies(context: Context, attributes: Attributes, match: Mapping[str, Any], *, optional: bool = False) -> bool:
    if optional and not match:
        return True
    rules = {"rules": match.get("resourceRules"), "matchPolicy": match.get("matchPolicy", "Equivalent")}
    excluded = {"rules": match.get("excludeResourceRules"), "matchPolicy": rules["matchPolicy"]}
    chosen = bool(optional and not rules["rules"]) or matching.served_for(context.registry, attributes, rules)
    if not chosen or matching.served_for(context.registry, attributes, excluded):
        return False
    return matching.selected(context.store, attributes, match)


def _params(context: Context, attributes: Attributes, policy: Object, binding: Object) -> Iterator[Object | None]:
    """The objects that parametrise the rules; None once for a policy without parameters."""
    kind, reference = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
    if not kind or not reference:
        yield None
        return
    served = context.registry.of_kind(kind["apiVersion"], kind["kind"])
    found: list[Object] = []
    if served is not None:
        namespace = (reference.get("namespace") or attributes.namespace) if served.resource.namespaced else ""
        selector = selectors.from_object(reference.get("selector") or {})
        for entry in context.store.entries(served.key, namespace):
            if entry.name == reference["name"] if reference.get("name") else selector.matches(entry.labels):
                found.append(entry.load())
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        _refuse(
            attributes, policy, binding, "no params found for policy binding with `Deny` parameterNotFoundAction", {}
        )
    yield from found


def _evaluate(context: Context, attributes: Attributes, policy: Object, binding: Object, params: Object | None) -> None:
    spec = policy["spec"]
    variables = _variables(context, attributes, params)
    try:
        if not all(cel.evaluate(item["expression"], variables) is True for item in spec.get("matchConditions") or ()):
            return
        named: dict[str, Any] = {}
        for item in spec.get("variables") or ():
            named[item["name"]] = cel.evaluate(item["expression"], {**variables, "variables": named})
        variables["variables"] = named
        for rule in spec.get("validations") or ():
            if cel.evaluate(rule["expression"], variables) is not True:
                _refuse(attributes, policy, binding, _message(rule, variables), rule)
    except cel.CelError as error:
        if spec.get("failurePolicy", "Fail") == "Fail":
            _refuse(attributes, policy, binding, str(error), {})


def _variables(context: Context, attributes: Attributes, params: Object | None) -> dict[str, Any]:
    resource = attributes.served.resource
    namespace = context.store.get("namespaces", "", attributes.namespace) if attributes.namespace else None
    request = {
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "subResource": attributes.subresource,
        "name": attributes.name,
        "namespace": attributes.namespace,
        "operation": attributes.operation,
        "userInfo": describe(attributes.user),
        "dryRun": attributes.dry_run,
    }
    return {
        "object": attributes.obj if attributes.operation != "DELETE" else None,
        "oldObject": attributes.old,
        "request": request,
        "params": params,
        "namespaceObject": namespace.load() if namespace else None,
    }


def _message(rule: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    if rule.get("messageExpression"):
        try:
            made = cel.evaluate(rule["messageExpression"], variables)
        except cel.CelError:
            made = None  # the plain message stands in for an expression that fails
        if isinstance(made, str) and made.strip() and "\n" not in made:
            return made
    return str(rule.get("message") or f"failed expression: {rule['expression'].strip()}")


def _refuse(attributes: Attributes, policy: Object, binding: Object, message: str, rule: Mapping[str, Any]) -> None:
    """Deny, warn or only note it, as the binding says."""
    actions = binding["spec"].get("validationActions") or ["Deny"]
    where = f"ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
    if "Warn" in actions:
        attributes.warnings.append(f"Validation failed for {where}: {message}")
    if "Deny" in actions:
        reason = rule.get("reason") or "Invalid"
        said = f"{where} denied request: {message}"
        refusal = attributes.served.forbidden(attributes.name, said)
        details = {**refusal.details, "causes": [{"message": said}]}
        told = {**refusal.status, "details": details, "reason": reason, "code": _CODES.get(reason, 422)}
        raise errors.from_status(told)
