"""Acting as somebody else (`kubectl --as`): who may, and who they become.

Headers: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

from nerv.apiserver.access.rbac import Authorizer, Question, refusal
from nerv.apiserver.identity import AUTHENTICATED, User, service_account
from nerv.http.messages import Request
from nerv.kube import errors

_ACCOUNT = "system:serviceaccount:"


def become(authorizer: Authorizer, user: User, request: Request) -> User:
    """The user that counts for a request. Raises errors.Forbidden, errors.BadRequest."""
    headers = request.headers
    name = headers.get("impersonate-user", "")
    groups = tuple(item.strip() for item in headers.get("impersonate-group", "").split(",") if item.strip())
    uid = headers.get("impersonate-uid", "")
    if not name:
        if groups or uid:
            raise errors.BadRequest("requested impersonation of a group or uid without impersonating a user")
        return user
    if name.startswith(_ACCOUNT):
        _, _, namespace, account = name.split(":", 3)
        _demand(authorizer, user, Question("impersonate", "", "serviceaccounts", "", namespace, account))
        if not groups:
            return service_account(namespace, account, uid)
    else:
        _demand(authorizer, user, Question("impersonate", "", "users", name=name))
    for group in groups:
        _demand(authorizer, user, Question("impersonate", "", "groups", name=group))
    if uid:
        _demand(authorizer, user, Question("impersonate", "authentication.k8s.io", "uids", name=uid))
    return User(name, (*groups, *(() if AUTHENTICATED in groups else (AUTHENTICATED,))), uid)


def _demand(authorizer: Authorizer, user: User, question: Question) -> None:
    if not authorizer.allows(user, question):
        raise refusal(user, question)
