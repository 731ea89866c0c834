"""RBAC: what Role, ClusterRole and their bindings allow. Members of system:masters may do everything.

Facts: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nerv.apiserver.identity import MASTERS, User
from nerv.apiserver.requests import Target
from nerv.apiserver.store import Change, Store
from nerv.kube import errors
from nerv.kube.objects import Object

_ROLES = "roles.rbac.authorization.k8s.io"
_CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
_ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"
_CLUSTER_ROLE_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
KEYS = frozenset({_ROLES, _CLUSTER_ROLES, _ROLE_BINDINGS, _CLUSTER_ROLE_BINDINGS})
_ALL = "*"

Rule = Mapping[str, Any]
Subject = Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """May somebody do this? Either a resource or, without a plural, a path."""

    verb: str
    group: str = ""
    plural: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def of(cls, target: Target) -> Question:
        """What a request wants to do."""
        if not target.plural:
            return cls(target.verb, path=target.path)
        return cls(target.verb, target.group, target.plural, target.subresource, target.namespace, target.name)

    @property
    def resource(self) -> str:
        """`pods`, `pods/log`."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


class Authorizer:
    """Keeps the rules of each user until a role or binding changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[tuple[str, tuple[str, ...], str], list[Rule]] = {}
        store.on_commit.append(self._follow)

    def check(self, user: User, target: Target) -> None:
        """Raises errors.Forbidden with the API server's words."""
        if MASTERS in user.groups:
            return
        question = Question.of(target)
        if not self.allows(user, question):
            raise refusal(user, question)

    def allows(self, user: User, question: Question) -> bool:
        """Whether any rule allows it."""
        if MASTERS in user.groups:
            return True
        if any(covers(rule, question) for rule in self.rules(user, "")):
            return True
        return bool(question.namespace) and any(covers(rule, question) for rule in self.rules(user, question.namespace))

    def reason(self, user: User, question: Question) -> str:
        """Which binding allows it, in the words of a review; empty for what is refused or needs no rule."""
        if MASTERS in user.groups:
            return ""
        for namespace in dict.fromkeys(("", question.namespace)):
            for binding, subject, rules in self._bound(user, namespace):
                if any(covers(rule, question) for rule in rules):
                    return _allowed_by(binding, subject)
        return ""

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """The user's rules for the whole cluster (empty namespace), or those that hold in one namespace only."""
        place = (user.name, user.groups, namespace)
        found = self._kept.get(place)
        if found is None:
            found = self._kept[place] = [rule for _, _, rules in self._bound(user, namespace) for rule in rules]
        return found

    def _bound(self, user: User, namespace: str) -> Iterator[tuple[Object, Subject, Iterable[Rule]]]:
        """Bindings that name the user, with the subject that does and the rules that they give."""
        bindings = (
            self._store.iterate(_ROLE_BINDINGS, namespace) if namespace else self._store.iterate(_CLUSTER_ROLE_BINDINGS)
        )
        for entry in bindings:
            binding = entry.load()
            subject = _naming(binding.get("subjects") or (), user, namespace)
            if subject is not None:
                yield binding, subject, self._role(binding["roleRef"], namespace)

    def _role(self, reference: Mapping[str, str], namespace: str) -> Iterable[Rule]:
        if reference.get("kind") == "ClusterRole":
            entry = self._store.get(_CLUSTER_ROLES, "", reference["name"])
        else:
            entry = self._store.get(_ROLES, namespace, reference["name"])
        return (entry.load().get("rules") or ()) if entry else ()

    def _follow(self, change: Change) -> None:
        if change.key in KEYS:
            self._kept.clear()


def _naming(subjects: Iterable[Subject], user: User, namespace: str) -> Subject | None:
    """The subject that is the user, or a group of his."""
    for subject in subjects:
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return subject
        if kind == "Group" and name in user.groups:
            return subject
        if kind == "ServiceAccount":
            space = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{space}:{name}":
                return subject
    return None


def _allowed_by(binding: Object, subject: Subject) -> str:
    meta, role = binding["metadata"], binding["roleRef"]
    named = f"{meta['name']}/{meta['namespace']}" if meta.get("namespace") else meta["name"]
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = f"{subject['name']}/{subject.get('namespace') or meta.get('namespace', '')}"
    return (
        f'RBAC: allowed by {binding["kind"]} "{named}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'
    )


def covers(rule: Rule, question: Question) -> bool:
    """Whether one rule allows what is asked."""
    verbs = rule.get("verbs") or ()
    if question.verb not in verbs and _ALL not in verbs:
        return False
    if not question.plural:
        return any(_path_matches(pattern, question.path) for pattern in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if question.group not in groups and _ALL not in groups:
        return False
    if not _resource_matches(rule.get("resources") or (), question):
        return False
    names = rule.get("resourceNames") or ()
    return not names or question.name in names


def _resource_matches(resources: Iterable[str], question: Question) -> bool:
    wanted = {_ALL, question.resource}
    if question.subresource:
        wanted.add(f"*/{question.subresource}")
    return any(resource in wanted for resource in resources)


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in (_ALL, path) or (pattern.endswith(_ALL) and path.startswith(pattern[:-1]))


def refusal(user: User, question: Question, why: str = "") -> errors.Forbidden:
    """The answer to somebody who may not."""
    tail = f": {why}" if why else ""
    if not question.plural:
        return errors.Forbidden(
            f'forbidden: User "{user.name}" cannot {question.verb} path "{question.path}"{tail}', {}
        )
    scope = f'in the namespace "{question.namespace}"' if question.namespace else "at the cluster scope"
    text = (
        f'User "{user.name}" cannot {question.verb} resource "{question.resource}" in API group '
        f'"{question.group}" {scope}{tail}'
    )
    return errors.forbidden(question.plural, question.group, question.name, text)
