"""The HelmChart object made from `spec.chart`: created, kept equal, deleted."""

from __future__ import annotations

from typing import Any

from nerv.controllers.flux.api import HELM_CHARTS
from nerv.controllers.flux.helm.engine.cluster import MANAGER, Cluster
from nerv.controllers.flux.helm.request import Request
from nerv.controllers.flux.helm.view import View
from nerv.kube import errors, objects
from nerv.kube.objects import Object


def built(view: View) -> Object:
    """The HelmChart that the template says, with the labels of its HelmRelease."""
    template = view.spec["chart"]
    spec: dict[str, Any] = dict(template["spec"])
    reference = spec.pop("sourceRef")
    verify = spec.pop("verify", None)
    spec["interval"] = spec.get("interval") or view.spec["interval"]
    spec["sourceRef"] = {"kind": reference["kind"], "name": reference["name"]}
    if verify:
        spec["verify"] = {name: verify[name] for name in ("provider", "secretRef") if name in verify}
    given = template.get("metadata") or {}
    metadata: dict[str, Any] = {"name": view.chart_name, "namespace": reference.get("namespace") or view.namespace}
    metadata["labels"] = {**(given.get("labels") or {}), **view.origin}
    if given.get("annotations"):
        metadata["annotations"] = dict(given["annotations"])
    return {"apiVersion": HELM_CHARTS.api_version, "kind": HELM_CHARTS.kind, "metadata": metadata, "spec": spec}


async def reconcile(request: Request, cluster: Cluster) -> None:
    """Bring the HelmChart to what the template says and remember it in the status. Raises the API's errors."""
    view, status = request.view, request.status
    wanted = built(view) if view.spec.get("chart") else None
    key = objects.key(wanted) if wanted else ""
    if status.get("helmChart") and status["helmChart"] != key:
        await delete(request, cluster)
    if wanted is None:
        return
    before = await _live(cluster, wanted)
    after = await cluster.client.apply(HELM_CHARTS, wanted, field_manager=MANAGER, force=True)
    for informer in cluster.informers.find(HELM_CHARTS):
        informer.observe(after)
    if before is None or objects.generation(before) != objects.generation(after):
        verb = "Created" if before is None else "Configured"
        reference = wanted["spec"]["sourceRef"]
        source = f"{reference['kind']}/{objects.namespace(wanted)}/{reference['name']}"
        message = f"{verb} HelmChart/{key} with SourceRef '{source}'"
        request.events.event(request.draft.obj, "Normal", f"HelmChart{verb}", message)
    status["helmChart"] = key


async def _live(cluster: Cluster, wanted: Object) -> Object | None:
    try:
        return await cluster.client.get(HELM_CHARTS, objects.name(wanted), objects.namespace(wanted))
    except errors.NotFound:
        return None


async def delete(request: Request, cluster: Cluster) -> None:
    """Delete the HelmChart that the status names. Raises the API's errors."""
    key = request.status.get("helmChart")
    if not key:
        return
    namespace, _, name = key.partition("/")
    try:
        await cluster.client.delete(HELM_CHARTS, name, namespace)
    except errors.NotFound:
        pass
    else:
        request.events.event(request.draft.obj, "Normal", "HelmChartDeleted", f"deleted HelmChart '{key}'")
    request.status.pop("helmChart", None)
