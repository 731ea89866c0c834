"""Deployments: rolling and recreating updates through ReplicaSets, one per revision of the pod template.

Behaviour of k8s.io/kubernetes/pkg/controller/deployment 1.31: annotations, conditions with their reasons and texts,
proportional scaling, history. Here: `controller` does the writes, `scaling`, `status` and `revisions` are pure.
"""

from nerv.controllers.kubernetes.deployment.controller import deployments

__all__ = ["deployments"]
