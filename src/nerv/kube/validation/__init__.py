"""What the API server refuses beyond types: names, required and immutable fields, rules of single kinds.

Errors are in the words of Kubernetes 1.31. Belongs here: rules that need the object and its former self alone. Not:
rules that need other objects (admission), structural schemas (`nerv.kube.schemas`).
"""

from nerv.kube.validation.kinds import validate
from nerv.kube.validation.metadata import validate_metadata

__all__ = ["validate", "validate_metadata"]
