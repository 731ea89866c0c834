"""Reaching the dashboards from this machine: names, trust, a browser profile. Nothing here needs root but `apply`.

Names resolve to the ingress' address: on machines of its own that of the LoadBalancer, on this machine a loopback
address that belongs to the platform alone (127.168.1.111 for 192.168.1.111). They do so through a marked block in
/etc/hosts or, in the browser profile of `nerv open`, through the browser's own resolver rules.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from nerv.components.cert_manager import resources as cert_manager
from nerv.errors import NervError
from nerv.operations import authority, collect, keys, session
from nerv.operations.collect import Published
from nerv.operations.folder import private_folder
from nerv.operations.status import Dashboard, Status
from nerv.operations.target import Target

INGRESS = "traefik"
CA_FILE = "dashboards-ca.crt"
"""Name of a deployed platform's certificate authority in the operator's folder."""
HOSTS = Path("/etc/hosts")
TRUST_FOLDER = Path("/usr/local/share/ca-certificates")
_PATIENCE = 5.0
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge")


@dataclass(frozen=True)
class Served:
    """A dashboard and the address that serves it: of the cluster, or on loopback for a platform of this machine."""

    dashboard: Dashboard
    address: str
    port: int


@dataclass(frozen=True)
class Reach:
    """A cluster's dashboards, and where this machine keeps what reaching them needs."""

    name: str
    served: list[Served]
    ca_file: Path
    profile: Path
    """the browser profile of `nerv open`"""


async def reach(target: Target) -> Reach:
    """Ask the cluster. Raises NervError while the dashboards cannot be reached yet, ApiError."""
    async with session.connect(target) as client:
        published = session.published(target)
        status = await collect.collect(client, target.engine, published, server=target.server)
        found = served(status, published)
        if target.folder and target.engine:
            return Reach(status.name, found, target.folder.ca_file, target.folder.state / "browser")
        folder = keys.folder_for(status.name)
        secret = (cert_manager.NAMESPACE, cert_manager.issuer(status.name))
        await authority.write(client, folder / CA_FILE, secret)
        return Reach(status.name, found, folder / CA_FILE, folder / "browser")


def served(status: Status, published: Published) -> list[Served]:
    """Every dashboard with its address. Raises NervError when the ingress has none yet."""
    secure = [ports[443] for ports in published.values() if 443 in ports]
    if not status.engine:
        # several Services may have an address; the ingress is the one that serves the routes
        by_ingress = sorted(status.addresses, key=lambda each: (INGRESS not in each.service, each.namespace))
        secure = [(each.address, 443) for each in by_ingress if 443 in each.ports and each.address]
    if not secure or not status.dashboards:
        raise NervError("the dashboards have no address yet", "`nerv status` says what is waited for")
    host, port = secure[0]
    return [Served(dashboard, host, port) for dashboard in status.dashboards]


def hosts_block(name: str, found: list[Served]) -> str:
    """The marked lines for /etc/hosts."""
    lines = [f"{target.address} {target.dashboard.host}" for target in found]
    return "\n".join([_begin(name), *lines, _end(name)]) + "\n"


def without_block(text: str, name: str) -> str:
    """`text` without the platform's marked lines; other lines stay as they are."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        if line.rstrip("\n") == _begin(name):
            inside = True
        elif line.rstrip("\n") == _end(name):
            inside = False
        elif not inside:
            kept.append(line)
    return "".join(kept)


def _begin(name: str) -> str:
    return f"# nerv {name}: begin"


def _end(name: str) -> str:
    return f"# nerv {name}: end"


def write_hosts(text: str, path: Path = HOSTS) -> None:
    """Replace /etc/hosts in place (it may be a bind mount, so no rename). Raises NervError without the right to."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NervError(f"{path} cannot be written: {error.strerror}", "run the same command with sudo") from None


def served_pin(target: Served, authority: str) -> str:
    """Base64 SHA-256 of the public key that a dashboard serves, once its certificate verifies against `authority`.

    Chromium looks for pins among the certificates that a server sends, and the authority itself is not among them.
    Raises NervError when nobody answers or the certificate does not verify.
    """
    context = ssl.create_default_context(cadata=authority)
    try:
        with (
            socket.create_connection((target.address, target.port), _PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=target.dashboard.host) as secure,
        ):
            served = secure.getpeercert(binary_form=True)
    except OSError as error:
        raise NervError(f"{target.dashboard.url} does not answer with a certificate that verifies: {error}") from None
    assert served is not None
    public_key = x509.load_der_x509_certificate(served).public_key()
    encoded = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


def browser_command(profile: Path, target: Served, all_targets: list[Served], pins: list[str]) -> list[str] | None:
    """A Chromium with a profile of its own that resolves the names and trusts the pinned keys; None without one."""
    program = next((found for found in map(shutil.which, _BROWSERS) if found), None)
    if program is None:
        return None
    rules = ", ".join(f"MAP {t.dashboard.host} {t.address}" for t in all_targets)
    return [
        program,
        f"--user-data-dir={private_folder(profile)}",
        f"--host-resolver-rules={rules}",
        f"--ignore-certificate-errors-spki-list={','.join(pins)}",
        "--no-first-run",
        "--no-default-browser-check",
        target.dashboard.url,
    ]


def curl_line(ca_file: Path, target: Served) -> str:
    """A curl command that needs neither names nor trust in place."""
    host, port = target.dashboard.host, target.port
    return f"curl --cacert {ca_file} --connect-to {host}:{port}:{target.address}:{port} -u admin {target.dashboard.url}"


def read_ca(ca_file: Path) -> str:
    """The dashboards' certificate authority (PEM). Raises NervError before it is issued."""
    try:
        return ca_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NervError(
            "the certificate authority is not issued yet", "`nerv status` says what is waited for"
        ) from None
