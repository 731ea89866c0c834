"""source-controller's work: GitRepository, HelmRepository, HelmChart.

Belongs here: fetching sources into artifacts, and what their status says about it. Not: what is built from artifacts.
"""

from nerv.controllers.flux.sources.controllers import controllers

__all__ = ["controllers"]
