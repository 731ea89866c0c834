"""CEL as Kubernetes uses it: rules of custom resources and Flux's health expressions.

The C++ evaluator (a wheel of 50 MB) is loaded by the first expression. Expressions are untyped: every variable is
dynamic, so a rule is checked against the schema's types only when it is evaluated.
"""

from nerv.kube.cel.evaluate import CelError, check, evaluate, mentions

__all__ = ["CelError", "check", "evaluate", "mentions"]
