"""What can go wrong with an encrypted file. No message ever holds a value, encrypted or not."""

from __future__ import annotations

from nerv.errors import NervError


class SopsError(NervError):
    """A file cannot be decrypted; the message says why in the words of sops and kustomize-controller."""
