"""helm-controller 1.3 in process: HelmReleases, with Helm 3.17's semantics (docs/decisions/0003-helm.md).

Belongs here: what Flux makes of a HelmRelease. engine/ holds Helm's actions on a cluster, steps/ what Flux makes of
each, `atomic` the loop over them, `state` the state of a release, `reconciler` everything around it.
"""

from nerv.controllers.flux.helm.reconciler import HelmConfig, controller

__all__ = ["HelmConfig", "controller"]
