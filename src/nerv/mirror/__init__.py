"""The outside world inside: Git repositories and chart repositories under their public names.

Belongs here: serving the platform's repository and charts, and noticing commits. Not: Flux's reconcilers.

The repository is never changed to run on this machine: its URLs stay. `Mirror` answers for their hosts with
certificates of the platform's authority, on a unix socket. Programs outside of the cluster's network reach it through a
loopback proxy (HTTP CONNECT), pods by DNS names that lead to the same socket.
"""

from nerv.mirror.config import ChartOrigin, MirrorConfig
from nerv.mirror.inside import Inside
from nerv.mirror.mirror import Mirror
from nerv.mirror.outlets import Outlets, keeps_address, reached_at

__all__ = ["ChartOrigin", "Inside", "Mirror", "MirrorConfig", "Outlets", "keeps_address", "reached_at"]
