"""Where Services lead: EndpointSlices, and the older Endpoints, computed from pods and their readiness."""

from nerv.controllers.kubernetes.endpoints.legacy import endpoints
from nerv.controllers.kubernetes.endpoints.slices import endpoint_slices

__all__ = ["endpoint_slices", "endpoints"]
