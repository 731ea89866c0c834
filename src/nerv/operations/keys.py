"""The operator's folder of a platform: age keys and the dashboards' password, never in the repository.

    $XDG_CONFIG_HOME/nerv/<platform>/     0700, files 0600
      operator.agekey    decrypts the repository's secrets for people
      flux.agekey        decrypts them in the cluster: Secret flux-system/sops-age
      credentials        the dashboards' login in clear
      hosts/             SSH host keys of nodes, see nerv.operations.host_keys

No reset touches this folder. Losing it means that encrypted files cannot be read any more: it belongs in a backup.
"""

from __future__ import annotations

import base64
import datetime
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
from pyrage import IdentityError, x25519

from nerv import documents
from nerv.builders import ssh
from nerv.components import definition
from nerv.components.flux import resources as flux
from nerv.components.flux.controllers import NAMESPACE
from nerv.components.objects import Object, metadata
from nerv.errors import NervError
from nerv.operations.folder import DEFINITION, private_folder, write_private

USER = "admin"
OPERATOR = "operator.agekey"
FLUX = "flux.agekey"
CREDENTIALS = "credentials"
_PASSWORD_LENGTH = 24
_BCRYPT_COST = 10


@dataclass(frozen=True)
class Keys:
    """The folder and the public halves of its keys."""

    folder: Path
    operator: str
    """age recipient of the operator"""
    flux: str
    """age recipient of Flux"""

    @property
    def operator_file(self) -> Path:
        """The operator's key, for SOPS_AGE_KEY_FILE."""
        return self.folder / OPERATOR

    def flux_key(self) -> str:
        """Text of Flux's key file: `age.agekey` of the Secret sops-age."""
        return (self.folder / FLUX).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Credentials:
    """The dashboards' login."""

    user: str
    password: str = field(repr=False)

    def text(self) -> str:
        """As the file `credentials` holds it."""
        return documents.dump({"user": self.user, "password": self.password})

    def htpasswd(self) -> str:
        """One line with a bcrypt hash; a new salt every time."""
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(_BCRYPT_COST)).decode()
        return f"{self.user}:{hashed}\n"


def folder_for(name: str) -> Path:
    """Folder of the platform named `name`."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".config"
    return base / "nerv" / name


def credentials_file(name: str) -> Path:
    """File with the dashboards' login in clear (0600)."""
    return folder_for(name) / CREDENTIALS


def folder_of(root: Path) -> Path:
    """Folder of the platform whose repository is `root`. Raises ProblemsError, NervError."""
    return folder_for(definition.load(root / DEFINITION).name)


def load(name: str) -> Keys | None:
    """The platform's keys, or None where there are none. Raises NervError for files that are not keys."""
    folder = folder_for(name)
    found = [_recipient(folder / file) for file in (OPERATOR, FLUX)]
    operator, flux = found
    if operator is None and flux is None:
        return None
    if operator is None or flux is None:
        missing = folder / (OPERATOR if operator is None else FLUX)
        raise NervError(f"{missing} is missing", "restore it from your backup, or see `nerv secrets recover --help`")
    return Keys(folder, operator, flux)


def create(name: str) -> Keys:
    """The platform's keys, made where there are none. Raises NervError when the folder cannot be written."""
    known = load(name)
    if known is not None:
        return known
    folder = private_folder(folder_for(name))
    for file in (OPERATOR, FLUX):
        write_private(folder / file, new_key())
    made = load(name)
    assert made is not None
    return made


def new_key() -> str:
    """The text of an age key file with a new key, as `age-keygen` writes it."""
    identity = x25519.Identity.generate()
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return f"# created: {now}\n# public key: {identity.to_public()}\n{identity}\n"


def recipient_of(text: str) -> str:
    """The recipient of the first key in the text of an age key file. Raises StopIteration, IdentityError."""
    key = next(line.strip() for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-"))
    return str(x25519.Identity.from_str(key).to_public())


def first_key(text: str) -> str:
    """The text of an age key file without the keys that follow the first: those are on their way out."""
    lines = text.splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if line.startswith("AGE-SECRET-KEY-"))
    return "".join(lines[: number + 1])


def require(name: str) -> Keys:
    """The platform's keys. Raises NervError where there are none."""
    known = load(name)
    if known is None:
        raise NervError(
            f"the age keys of platform {name} are not in {folder_for(name)}",
            "restore them from your backup; without one, `nerv secrets recover` is the way back",
        )
    return known


def credentials(name: str) -> Credentials:
    """The dashboards' login, made where there is none. Raises NervError for a file that is not one."""
    path = credentials_file(name)
    try:
        read = documents.load(path.read_text(encoding="utf-8"))
        return Credentials(str(read["user"]), str(read["password"]))
    except FileNotFoundError:
        made = new_credentials()
        write_private(path, made.text())
        return made
    except (OSError, UnicodeDecodeError, documents.DocumentError, TypeError, KeyError):
        raise NervError(f"{path} is not readable as user and password", "remove it; a new one is made") from None


def new_credentials() -> Credentials:
    """A login with a new password."""
    # letters and digits only: it is typed by hand and pasted into URLs
    letters = string.ascii_letters + string.digits
    return Credentials(USER, "".join(secrets.choice(letters) for _ in range(_PASSWORD_LENGTH)))


def cluster_secrets(name: str, login: Mapping[str, str]) -> tuple[Object, ...]:
    """What a bootstrap puts into flux-system and never into Git: the key that decrypts, and the repository's `login`.

    Raises NervError where there are no keys.
    """
    return age_secret(require(name)), _secret(flux.SYNC, login)


def age_secret(held: Keys) -> Object:
    """Secret flux-system/sops-age: Flux's key, by which the cluster decrypts."""
    return _secret(flux.AGE_SECRET, {"age.agekey": held.flux_key()})


def mirror_login(url: str, host_key: str) -> dict[str, str]:
    """The login by which Flux reads the repository from the mirror of this machine, which lets everybody in.

    `host_key` is the private key by which the mirror is known over SSH.
    """
    if not url.startswith("ssh://"):
        return {"username": "git", "password": "not-needed-on-this-machine"}
    made = ssh.generate()
    known_hosts = ssh.known_host(*ssh.place(url), ssh.identity(host_key).public)
    return {"identity": made.private, "identity.pub": made.public, "known_hosts": known_hosts}


def _secret(name: str, data: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, NAMESPACE),
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


def _recipient(path: Path) -> str | None:
    try:
        return recipient_of(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, StopIteration, IdentityError) as error:
        said = error.strerror if isinstance(error, OSError) else "no age key in it"
        raise NervError(f"{path} cannot be read: {said}", "restore it from your backup") from None
