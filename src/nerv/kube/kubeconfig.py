"""Kubeconfig files with everything inline."""

from __future__ import annotations

from base64 import b64encode

from nerv import documents
from nerv.certificates import KeyPair


def inline(server: str, ca_pem: str, user: KeyPair, *, cluster: str) -> str:
    """One cluster and one user with a client certificate, as YAML."""

    def data(text: str) -> str:
        return b64encode(text.encode()).decode()

    return documents.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": data(ca_pem)}}],
            "users": [
                {
                    "name": f"{cluster}-admin",
                    "user": {"client-certificate-data": data(user.certificate), "client-key-data": data(user.key)},
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": f"{cluster}-admin"}}],
            "current-context": cluster,
        }
    )
