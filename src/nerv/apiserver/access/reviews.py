"""Questions about identity and access that are answered and not stored: SubjectAccessReview and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nerv.apiserver.access.rbac import Authorizer, Question, Rule
from nerv.apiserver.authentication import Authenticator
from nerv.apiserver.identity import MASTERS, User
from nerv.apiserver.tokens import BadToken
from nerv.kube import errors
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

_EVERYTHING: tuple[Rule, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)


class Reviews:
    """Answers reviews by kind."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def answer(self, resource: Resource, obj: Object, user: User, namespace: str) -> Object | None:
        """The review with its status; None if the resource is no review. Raises errors.Invalid."""
        spec = obj.get("spec") or {}
        match resource.kind:
            case "SelfSubjectAccessReview":
                status = self._access(user, spec)
            case "SubjectAccessReview":
                status = self._access(_user(spec), spec)
            case "LocalSubjectAccessReview":
                asked = (spec.get("resourceAttributes") or {}).get("namespace")
                if asked != namespace:
                    raise errors.BadRequest("spec.resourceAttributes.namespace must match the namespace of the path")
                status = self._access(_user(spec), spec)
            case "SelfSubjectRulesReview":
                status = self._rules(user, spec.get("namespace") or "")
            case "SelfSubjectReview":
                return {**obj, "status": {"userInfo": describe(user)}}
            case "TokenReview":
                status = self._token(spec)
            case _:
                return None
        return {**obj, "status": status}

    def _access(self, user: User, spec: Mapping[str, Any]) -> Object:
        attributes, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if attributes:
            question = Question(
                attributes.get("verb", ""),
                attributes.get("group", ""),
                attributes.get("resource", ""),
                attributes.get("subresource", ""),
                attributes.get("namespace", ""),
                attributes.get("name", ""),
            )
        elif path:
            question = Question(path.get("verb", ""), path=path.get("path", ""))
        else:
            raise errors.BadRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified")
        reason = self._authorizer.reason(user, question)
        return {"allowed": self._authorizer.allows(user, question), **({"reason": reason} if reason else {})}

    def _rules(self, user: User, namespace: str) -> Object:
        rules: list[Rule] = [*self._authorizer.rules(user, ""), *self._authorizer.rules(user, namespace)]
        if MASTERS in user.groups:
            rules = [*_EVERYTHING, *rules]
        fields = ("verbs", "apiGroups", "resources", "resourceNames")
        return {
            "resourceRules": [
                {field: rule[field] for field in fields if rule.get(field)} for rule in rules if rule.get("resources")
            ],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in rules
                if rule.get("nonResourceURLs")
            ],
            "incomplete": False,
        }

    def _token(self, spec: Mapping[str, Any]) -> Object:
        try:
            user, audiences = self._authenticator.review(spec.get("token") or "", tuple(spec.get("audiences") or ()))
        except BadToken as error:
            return {"user": {}, "error": f"[invalid bearer token, {error}]"}
        return {"authenticated": True, "user": describe(user), "audiences": list(audiences)}


def _user(spec: Mapping[str, Any]) -> User:
    return User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "")


def describe(user: User) -> Object:
    """A user as UserInfo."""
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info
