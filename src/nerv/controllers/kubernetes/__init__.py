"""What kube-controller-manager and kube-scheduler 1.31 do, one module for each kind.

Belongs here: reconcilers of builtin kinds that speak to any API server. Not: what nodes do (node/), what add-ons do
(services/), Flux. Left out: HorizontalPodAutoscaler (nothing here measures load), preemption, topology spread,
aggregated APIs (aggregation.py says so to whoever asks).
"""

from __future__ import annotations

from nerv.controllers.kubernetes.accounts import default_accounts, root_ca_publisher
from nerv.controllers.kubernetes.aggregation import api_services
from nerv.controllers.kubernetes.context import FIELD_MANAGER, Context, KubernetesConfig
from nerv.controllers.kubernetes.cronjob import cron_jobs
from nerv.controllers.kubernetes.daemonset import daemon_sets
from nerv.controllers.kubernetes.deployment import deployments
from nerv.controllers.kubernetes.disruption import disruption_budgets
from nerv.controllers.kubernetes.endpoints import endpoint_slices, endpoints
from nerv.controllers.kubernetes.garbage import garbage_collector
from nerv.controllers.kubernetes.inventory import Inventory
from nerv.controllers.kubernetes.job import finished_jobs, jobs
from nerv.controllers.kubernetes.namespaces import namespace_lifecycle
from nerv.controllers.kubernetes.nodes import node_lifecycle, taint_eviction
from nerv.controllers.kubernetes.podgc import pod_garbage
from nerv.controllers.kubernetes.quotas import resource_quotas
from nerv.controllers.kubernetes.replicaset import replica_sets, replication_controllers
from nerv.controllers.kubernetes.scheduler import scheduler
from nerv.controllers.kubernetes.statefulset import stateful_sets
from nerv.controllers.kubernetes.volumes import claim_protection, persistent_volumes, volume_protection
from nerv.controllers.runtime import Controller, Informers, Writer
from nerv.kube.client import Client

__all__ = ["KubernetesConfig", "controllers"]


def controllers(client: Client, informers: Informers, config: KubernetesConfig) -> tuple[Controller, ...]:
    """All controllers of a cluster. Must be called inside the running event loop, which the informers start in."""
    named = client.named(FIELD_MANAGER)
    context = Context(named, Writer(named, informers), informers, config)
    return (
        default_accounts(context),
        root_ca_publisher(context),
        deployments(context),
        replica_sets(context),
        replication_controllers(context),
        stateful_sets(context),
        daemon_sets(context),
        jobs(context),
        finished_jobs(context),
        cron_jobs(context),
        scheduler(context),
        endpoint_slices(context),
        endpoints(context),
        persistent_volumes(context),
        claim_protection(context),
        volume_protection(context),
        node_lifecycle(context),
        taint_eviction(context),
        pod_garbage(context),
        disruption_budgets(context),
        api_services(context),
        # last: their informers of metadata share the whole objects that the others keep
        *_over_everything(context),
    )


def _over_everything(context: Context) -> tuple[Controller, ...]:
    inventory = Inventory(context.informers)
    return (
        namespace_lifecycle(context, inventory),
        resource_quotas(context, inventory),
        garbage_collector(context, inventory),
    )
