"""kustomize-controller's work: from an artifact to applied, pruned and healthy objects.

Belongs here: order, ownership, inventory, health and status of Kustomizations. Not: building (builders.kustomize).
"""

from nerv.controllers.flux.kustomization.reconciler import controller

__all__ = ["controller"]
