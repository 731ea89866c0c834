"""Nobody gives away more than they have: roles and bindings are held against the writer's own rules.

Facts: pkg/registry/rbac (escalation check); the verbs `escalate` and `bind` lift it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nerv.apiserver.access.rbac import Question, Rule, covers
from nerv.apiserver.context import Attributes, Context
from nerv.apiserver.identity import MASTERS

_GROUP = "rbac.authorization.k8s.io"
_ROLES = {f"roles.{_GROUP}", f"clusterroles.{_GROUP}"}
_BINDINGS = {f"rolebindings.{_GROUP}", f"clusterrolebindings.{_GROUP}"}


def forbid(context: Context, attributes: Attributes) -> None:
    """Raises errors.Forbidden."""
    obj, user = attributes.obj, attributes.user
    if obj is None or MASTERS in user.groups or attributes.operation not in ("CREATE", "UPDATE"):
        return
    if attributes.key in _ROLES and (attributes.old or {}).get("rules") != obj.get("rules"):
        rules, verb, name, plural = (
            obj.get("rules") or (),
            "escalate",
            attributes.name,
            attributes.served.resource.plural,
        )
    elif attributes.key in _BINDINGS:
        reference = obj["roleRef"]
        plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        rules, verb, name = _rules_of(context, attributes, reference), "bind", reference["name"]
    else:
        return
    if context.authorizer.allows(user, Question(verb, _GROUP, plural, "", attributes.namespace, name)):
        return
    own = [*context.authorizer.rules(user, ""), *context.authorizer.rules(user, attributes.namespace)]
    missing = [_text(question) for question in _questions(rules) if not any(covers(rule, question) for rule in own)]
    if missing:
        groups = " ".join(f'"{group}"' for group in user.groups)
        raise attributes.served.forbidden(
            attributes.name,
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            + "\n".join(dict.fromkeys(missing)),
        )


def _rules_of(context: Context, attributes: Attributes, reference: Mapping[str, str]) -> Iterable[Rule]:
    if reference.get("kind") == "ClusterRole":
        entry = context.store.head(f"clusterroles.{_GROUP}", "", reference["name"])
    else:
        entry = context.store.head(f"roles.{_GROUP}", attributes.namespace, reference["name"])
    return (entry.load().get("rules") or ()) if entry else ()


def _questions(rules: Iterable[Mapping[str, Any]]) -> Iterator[Question]:
    """Every single permission of the rules. `*` asks for itself: only a rule with `*` covers it."""
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for path in rule.get("nonResourceURLs") or ():
                yield Question(verb, path=path)
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    plural, _, part = resource.partition("/")
                    for name in rule.get("resourceNames") or ("",):
                        yield Question(verb, group, plural, part, name=name)


def _text(question: Question) -> str:
    if not question.plural:
        return f'{{NonResourceURLs:["{question.path}"], Verbs:["{question.verb}"]}}'
    names = f', ResourceNames:["{question.name}"]' if question.name else ""
    return f'{{APIGroups:["{question.group}"], Resources:["{question.resource}"]{names}, Verbs:["{question.verb}"]}}'
