"""What is raised where a webhook cannot be asked. `failurePolicy` says what follows."""

from __future__ import annotations


class CallFailed(Exception):
    """The webhook could not be asked, or gave no answer; the text is that of the API server."""


class NotCallable(CallFailed):
    """What its configuration says makes no client."""
