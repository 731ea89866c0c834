"""SOPS files, decrypted in process: age keys, AES-256-GCM values, the MAC over all of them.

Belongs here: reading what the sops program wrote (YAML, JSON, dotenv, INI, binary), and SSH host keys as age keys. Not:
writing, which is the real program's work, and where keys come from.
"""

from nerv.builders.sops import ssh
from nerv.builders.sops.age import Identities, data_key, read_identities
from nerv.builders.sops.errors import SopsError
from nerv.builders.sops.formats import Format, decrypt, decrypt_tree, detect, format_of, is_encrypted
from nerv.builders.sops.values import Rules

__all__ = [
    "Format",
    "Identities",
    "Rules",
    "SopsError",
    "data_key",
    "decrypt",
    "decrypt_tree",
    "detect",
    "format_of",
    "is_encrypted",
    "read_identities",
    "ssh",
]
