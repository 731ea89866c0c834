"""Rules of what extends the API or says who may use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from nerv.kube import cel, fields
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object
from nerv.kube.validation import names

Rule = Callable[[Object, Object | None], Iterator[FieldError]]

_RBAC: Final = "rbac.authorization.k8s.io"
_ADMISSION: Final = "admissionregistration.k8s.io/v1"
_NO_SCHEMA_PROPERTIES: Final[Mapping[str, Any]] = {}


def _role(obj: Object, old: Object | None) -> Iterator[FieldError]:
    cluster = obj["kind"] == "ClusterRole"
    for position, rule in enumerate(obj.get("rules") or ()):
        path = fields.index("rules", position)
        if not rule.get("verbs"):
            yield fields.required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if not cluster:
                yield fields.invalid(
                    f"{path}.nonResourceURLs",
                    rule["nonResourceURLs"],
                    "namespaced rules cannot apply to non-resource URLs",
                )
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                detail = "rules cannot apply to both regular resources and non-resource URLs"
                yield fields.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], detail)
            continue
        if not rule.get("apiGroups"):
            yield fields.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield fields.required(f"{path}.resources", "resource rules must supply at least one resource")


def _binding(obj: Object, old: Object | None) -> Iterator[FieldError]:
    role = obj.get("roleRef") or {}
    kinds = ("ClusterRole",) if obj["kind"] == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if role.get("apiGroup") != _RBAC:
        yield fields.not_supported("roleRef.apiGroup", role.get("apiGroup"), (_RBAC,))
    if role.get("kind") not in kinds:
        yield fields.not_supported("roleRef.kind", role.get("kind"), kinds)
    if not role.get("name"):
        yield fields.required("roleRef.name")
    for position, subject in enumerate(obj.get("subjects") or ()):
        path = fields.index("subjects", position)
        if not subject.get("name"):
            yield fields.required(f"{path}.name")
        kind = subject.get("kind")
        if kind not in ("ServiceAccount", "User", "Group"):
            yield fields.not_supported(f"{path}.kind", kind, ("Group", "ServiceAccount", "User"))
        if kind == "ServiceAccount" and not subject.get("namespace") and obj["kind"] == "ClusterRoleBinding":
            yield fields.required(f"{path}.namespace")
    if old is not None and role != (old.get("roleRef") or {}):
        shown = (
            f'rbac.RoleRef{{APIGroup:"{role.get("apiGroup", "")}", Kind:"{role.get("kind", "")}", '
            f'Name:"{role.get("name", "")}"}}'
        )
        yield FieldError("roleRef", fields.INVALID, f"Invalid value: {shown}: cannot change roleRef")


def _webhooks(obj: Object, old: Object | None) -> Iterator[FieldError]:
    seen: set[str] = set()
    for position, hook in enumerate(obj.get("webhooks") or ()):
        path = fields.index("webhooks", position)
        name = hook.get("name") or ""
        if not name:
            yield fields.required(f"{path}.name")
        elif name.count(".") < 2:
            detail = "should be a domain with at least three segments separated by dots"
            yield fields.invalid(f"{path}.name", name, detail)
        else:
            yield from (fields.invalid(f"{path}.name", name, problem) for problem in names.subdomain(name))
        if name in seen:
            yield fields.duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _webhook(hook, path)


def _webhook(hook: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    versions = hook.get("admissionReviewVersions")
    if not versions:
        yield fields.required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1")
    elif not {"v1", "v1beta1"} & set(versions):
        yield fields.invalid(f"{path}.admissionReviewVersions", versions, "must include at least one of v1, v1beta1")
    if hook.get("sideEffects") is None:
        yield fields.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    elif hook["sideEffects"] not in ("None", "NoneOnDryRun"):
        yield fields.not_supported(f"{path}.sideEffects", hook["sideEffects"], ("None", "NoneOnDryRun"))
    if hook.get("failurePolicy") not in ("Fail", "Ignore"):
        yield fields.not_supported(f"{path}.failurePolicy", hook.get("failurePolicy"), ("Fail", "Ignore"))
    if not 1 <= hook.get("timeoutSeconds", 10) <= 30:
        detail = "the timeout value must be between 1 and 30 seconds"
        yield fields.invalid(f"{path}.timeoutSeconds", hook["timeoutSeconds"], detail)
    client = hook.get("clientConfig") or {}
    if bool(client.get("url")) == bool(client.get("service")):
        yield fields.required(f"{path}.clientConfig", "exactly one of url or service is required")
    for position, condition in enumerate(hook.get("matchConditions") or ()):
        try:
            cel.check(condition.get("expression", ""), ("object", "oldObject", "request", "authorizer"))
        except cel.CelError as error:
            where = f"{path}.matchConditions[{position}].expression"
            yield fields.invalid(where, condition.get("expression", ""), str(error))


def _definition(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    names_ = spec.get("names") or {}
    wanted = f"{names_.get('plural', '')}.{spec.get('group', '')}"
    name = (obj.get("metadata") or {}).get("name", "")
    if name != wanted:
        yield fields.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in ("Cluster", "Namespaced", None, ""):
        yield fields.not_supported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    for field, value in names_.items():
        if field in ("plural", "singular", "kind", "listKind") and isinstance(value, str):
            yield from (fields.invalid(f"spec.names.{field}", value, it) for it in names.service(value.lower()))
    versions = spec.get("versions") or []
    stored = [version for version in versions if version.get("storage")]
    if not versions:
        yield fields.required("spec.versions", "must have at least one version")
    elif len(stored) != 1:
        shown = [version.get("name") for version in versions]
        yield fields.invalid("spec.versions", shown, "must have exactly one version marked as storage version")
    for position, version in enumerate(versions):
        yield from _version(version, fields.index("spec.versions", position))
    if old is not None:
        yield from _definition_change(obj, old)


def _definition_change(obj: Object, old: Object) -> Iterator[FieldError]:
    now, before = obj.get("spec") or {}, old.get("spec") or {}
    for field in ("group", "scope"):
        if now.get(field) != before.get(field):
            yield fields.invalid(f"spec.{field}", now.get(field), fields.IMMUTABLE)
    for field in ("plural", "kind"):
        if (now.get("names") or {}).get(field) != (before.get("names") or {}).get(field):
            yield fields.invalid(f"spec.names.{field}", (now.get("names") or {}).get(field), fields.IMMUTABLE)
    served = {version.get("name") for version in now.get("versions") or ()}
    for position, version in enumerate((obj.get("status") or {}).get("storedVersions") or ()):
        if version not in served:
            yield fields.invalid(f"status.storedVersions[{position}]", version, "must appear in spec.versions")


def _version(version: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    name = version.get("name") or ""
    yield from (fields.invalid(f"{path}.name", name, problem) for problem in names.service(name))
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    where = f"{path}.schema.openAPIV3Schema"
    if schema is None:
        yield fields.required(where, "schemas are required")
    elif schema.get("type") != "object":
        yield fields.invalid(f"{where}.type", schema.get("type", ""), "must be object at the root")
    else:
        yield from _schema(schema, where)


def _schema(schema: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """A structural schema has a type wherever it has fields; its rules compile."""
    typed = schema.get("type") or schema.get("x-kubernetes-int-or-string")
    if not typed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield fields.required(f"{path}.type", "must not be empty for specified object fields")
    for position, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        try:
            cel.check(rule.get("rule", ""))
        except cel.CelError as error:
            where = f"{path}.x-kubernetes-validations[{position}].rule"
            yield fields.invalid(where, rule.get("rule", ""), str(error))
    for name, item in (schema.get("properties") or _NO_SCHEMA_PROPERTIES).items():
        yield from _schema(item, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), Mapping):
        yield from _schema(schema["items"], f"{path}.items")
    elif schema.get("type") == "array":
        yield fields.required(f"{path}.items", "must be specified")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _schema(schema["additionalProperties"], f"{path}.additionalProperties")


RULES: Final[dict[tuple[str, str], Rule]] = {
    (f"{_RBAC}/v1", "Role"): _role,
    (f"{_RBAC}/v1", "ClusterRole"): _role,
    (f"{_RBAC}/v1", "RoleBinding"): _binding,
    (f"{_RBAC}/v1", "ClusterRoleBinding"): _binding,
    (_ADMISSION, "MutatingWebhookConfiguration"): _webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): _webhooks,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _definition,
}
