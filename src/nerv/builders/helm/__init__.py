"""Helm without a cluster: charts, values, rendering, packaging, and releases as Helm stores them.

Belongs here: what turns a chart and values into text and objects, and the exact forms that `helm`, Flux and Helm's SDK
read. Not here: speaking to a cluster (controllers/flux/helm). Templates are rendered by Helm's own SDK
(docs/decisions/0003-helm.md), in a process that is there only while it is needed.
"""

from nerv.builders.helm.charts import Chart, ChartError, load, package
from nerv.builders.helm.releases import Hook, HookRun, Info, Release
from nerv.builders.helm.rendering import Capabilities, Rendered, render
from nerv.builders.helm.sdk import HelmError

__all__ = [
    "Capabilities",
    "Chart",
    "ChartError",
    "HelmError",
    "Hook",
    "HookRun",
    "Info",
    "Release",
    "Rendered",
    "load",
    "package",
    "render",
]
