"""Jobs: pods that run to their end, counted exactly once.

Behaviour of k8s.io/kubernetes/pkg/controller/job 1.31. Not here: podFailurePolicy, successPolicy, backoffLimitPerIndex.
`controller` writes, `counting`, `conditions` and `indexes` are pure.
"""

from nerv.controllers.kubernetes.job.controller import jobs
from nerv.controllers.kubernetes.job.expiry import finished_jobs

__all__ = ["finished_jobs", "jobs"]
