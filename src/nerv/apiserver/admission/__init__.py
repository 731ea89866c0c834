"""Admission: who may change objects on their way in, and who may refuse them, in order.

Belongs here: the builtin plugins, one module each. Each plugin is a function of the context and the attributes.
Between mutating and finishing stands the validation by schema.
"""

from __future__ import annotations

from nerv.apiserver import custom
from nerv.apiserver.access import escalation
from nerv.apiserver.admission import (
    accounts,
    classes,
    limits,
    namespaces,
    pods,
    podsecurity,
    policies,
    quotas,
    services,
    storage,
)
from nerv.apiserver.context import Plugin
from nerv.apiserver.webhooks import admission as webhooks

MUTATING: tuple[Plugin, ...] = (
    namespaces.must_exist,
    limits.fill,
    accounts.project,
    pods.tolerate,
    pods.prioritise,
    classes.choose,
    storage.protect,
    webhooks.mutate,
    namespaces.keep_spec,
    services.allocate,
)
FINISHING: tuple[Plugin, ...] = (custom.settle,)
VALIDATING: tuple[Plugin, ...] = (
    namespaces.must_not_be_deleted,
    podsecurity.check,
    limits.check,
    escalation.forbid,
    policies.check,
    webhooks.validate,
    quotas.check,
)
