"""What a build can fail with."""

from __future__ import annotations

from nerv.errors import NervError


class BuildError(NervError):
    """The sources cannot be turned into objects; the message is what the Kustomization's condition will say."""


class PathError(NervError):
    """The folder that shall be built does not exist or lies outside of the artifact."""
