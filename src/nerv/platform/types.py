"""The words of the definition: text that must follow a rule, each with a message and a hint of its own.

Every type takes plain text from the file and is checked by one small function; `fail` carries message and hint
through the model to the file's line and column. Addresses are IPv4: MetalLB pools, K3s and Flannel are set up so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import override


def fail(message: str, hint: str = "") -> PydanticCustomError:
    """The error of a rule; message and hint appear as they are."""
    return PydanticCustomError("nerv", "{message}", {"message": message, "hint": hint})


def not_text(value: Any) -> PydanticCustomError:
    """The error for a value that is not text at all."""
    if isinstance(value, (bool, int, float)):
        return fail(f"expected text, found {_kind(value)} {_shown(value)}", "put it in quotes")
    return fail(f"expected text, found {_kind(value)}")


def _kind(value: Any) -> str:
    names = {bool: "the boolean", int: "the number", float: "the number", list: "a list", dict: "a mapping"}
    return names.get(type(value), "nothing")


def _shown(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rule(check: Callable[[str], Any]) -> PlainValidator:
    """A validator that refuses everything but text with one wording, then applies `check`."""

    def validate(value: Any) -> Any:
        if not isinstance(value, str):
            # values that were made by these rules before (defaults, copies) pass
            if isinstance(value, (IPv4Address, IPv4Network, AddressRange)):
                return value
            raise not_text(value)
        return check(value)

    return PlainValidator(validate)


_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


def _name(text: str) -> str:
    if not re.fullmatch(_LABEL, text):
        suggestion = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:63].strip("-")
        hint = "at most 63 of a-z, 0-9 and `-`, with a letter or digit at both ends"
        raise fail(f"`{text}` is not a name", f"did you mean `{suggestion}`? {hint}" if suggestion else hint)
    return text


def _domain(text: str) -> str:
    if len(text) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})+", text):
        raise fail(f"`{text}` is not a domain", "labels of a-z, 0-9 and `-` with dots between, for example nerv.local")
    return text


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise fail(f"`{text}` is not an IPv4 address", "four numbers from 0 to 255, for example 192.168.1.10") from None


def _network(text: str) -> IPv4Network:
    if "/" not in text:
        raise fail(f"`{text}` is not a network", "an address and its length, for example 192.168.1.0/24")
    try:
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise fail(f"`{text}` is not a network", "an address and its length, for example 192.168.1.0/24") from None
    if str(network.network_address) != text.partition("/")[0]:
        raise fail(f"`{text}` has host bits set", f"did you mean {network}?")
    return network


@dataclass(frozen=True, order=True)
class AddressRange:
    """Addresses from `first` to `last`, both included. `text` is what the definition says."""

    first: IPv4Address
    last: IPv4Address
    text: str

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def overlaps(self, other: AddressRange) -> bool:
        """Whether an address is in both."""
        return self.first <= other.last and other.first <= self.last

    @override
    def __str__(self) -> str:
        return self.text


def _range(text: str) -> AddressRange:
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        if "/" not in text:
            raise fail(f"`{text}` is not a range of addresses", f"one address alone is {text}/32")
        network = _network(text)
        return AddressRange(network.network_address, network.broadcast_address, text)
    found = AddressRange(_address(first), _address(last), f"{first}-{last}")
    if found.last < found.first:
        raise fail(f"`{text}` ends before it begins", f"did you mean {last}-{first}?")
    return found


def _mac(text: str) -> str:
    plain = text.lower().replace("-", ":")
    if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", plain):
        raise fail(f"`{text}` is not a MAC address", "six pairs of hexadecimal digits, for example 52:54:00:12:34:56")
    return plain


DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"


def _duration(text: str) -> str:
    if not re.fullmatch(DURATION_PATTERN.strip("^$"), text):
        days = re.fullmatch(r"([0-9]+)d", text)
        hint = f"did you mean {int(days[1]) * 24}h?" if days else "a number and ms, s, m or h, for example 10m or 1h30m"
        raise fail(f"`{text}` is not a duration", hint)
    return text


def seconds(duration: str) -> float:
    """A checked duration in seconds."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", duration))


_SEMVER = r"v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"


def _version(text: str) -> str:
    if not re.fullmatch(_SEMVER, text):
        raise fail(f"`{text}` is not an exact version", "three numbers, for example 1.9.1; ranges are not pins")
    return text


def _git_url(text: str) -> str:
    scp = re.fullmatch(r"([^/@\s]+@[^/:\s]+):(?!//)(\S+)", text)
    if scp:
        raise fail(f"`{text}` is not a URL that Flux takes", f"did you mean ssh://{scp[1]}/{scp[2]}?")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise fail(f"`{text}` is not a URL", "for example https://github.com/you/home.git") from None
    if (
        parts.scheme not in ("https", "ssh")
        or not parts.hostname
        or not parts.path.strip("/")
        or re.search(r"\s", text)
    ):
        raise fail(f"`{text}` is not a Git URL", "https:// or ssh://, for example https://github.com/you/home.git")
    if parts.password or (parts.username and parts.scheme == "https"):
        raise fail("the URL holds a credential", "leave it out; the token is handed over when Flux is bootstrapped")
    return text


def _branch(text: str) -> str:
    wrong = r"[\s~^:?*\[\\\x00-\x1f]|\.\.|@\{|//|^[/.-]|[/.]$|\.lock$"
    if not text or re.search(wrong, text):
        raise fail(f"`{text}` is not a branch name", "for example main")
    return text


def _recipient(text: str) -> str:
    if not re.fullmatch(r"age1[023456789acdefghjklmnpqrstuvwxyz]{58}", text):
        hint = (
            "a private key never belongs here" if text.upper().startswith("AGE-SECRET-KEY-") else "age1 and 58 letters"
        )
        shown = "this" if text.upper().startswith("AGE-SECRET-KEY-") else f"`{text}`"
        raise fail(f"{shown} is not an age recipient", hint)
    return text


def _ssh_key(text: str) -> str:
    kinds = "ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh.com"
    if not re.fullmatch(rf"(?:{kinds}) [A-Za-z0-9+/]{{40,}}={{0,3}}( .*)?", text):
        raise fail("this is not an SSH public key", "one line as in ~/.ssh/id_ed25519.pub")
    return text


def _time_zone(text: str) -> str:
    if not re.fullmatch(r"UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]+){1,2}", text):
        raise fail(f"`{text}` is not a time zone", "UTC or a name like Europe/Berlin")
    return text


def _locale(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}\.UTF-8|C\.UTF-8", text):
        raise fail(f"`{text}` is not a UTF-8 locale", "for example en_US.UTF-8")
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"/dev/[A-Za-z0-9._:/+-]+", text):
        raise fail(f"`{text}` is not a disk device", "for example /dev/nvme0n1 or /dev/disk/by-id/...")
    return text


def _interface(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,14}", text):
        raise fail(f"`{text}` is not the name of a network card", "at most 15 letters and digits, for example enp1s0")
    return text


def _server_name(text: str) -> str:
    if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", text) or len(text) > 253:
        raise fail(f"`{text}` is neither a host name nor an address", "for example k8s.example.org or 203.0.113.7")
    return text


def _schedule(text: str) -> str:
    if not re.fullmatch(r"[0-9*/,-]+( [0-9A-Za-z*/,-]+){4}", text):
        hint = "minute, hour, day, month and day of the week, for example `0 */6 * * *`"
        raise fail(f"`{text}` is not a schedule", hint)
    return text


def _absolute(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", text) or "/../" in f"{text}/":
        raise fail(f"`{text}` is not an absolute path", "for example /var/lib/longhorn")
    return text


def _label_value(text: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", text):
        raise fail(f"`{text}` is not a label value", "at most 63 letters, digits, `-`, `_`, `.`")
    return text


def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", name) or (
        slash and (len(prefix) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", prefix))
    ):
        raise fail(f"`{text}` is not a label key", "for example tier or example.org/tier")
    return text


def _one_line(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise fail("expected one line of text", "")
    return text


Name = Annotated[str, _rule(_name), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL}$", "maxLength": 63})]
Domain = Annotated[
    str, _rule(_domain), WithJsonSchema({"type": "string", "pattern": rf"^{_LABEL}(\.{_LABEL})+$", "maxLength": 253})
]
Mac = Annotated[
    str, _rule(_mac), WithJsonSchema({"type": "string", "pattern": "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"})
]
Duration = Annotated[str, _rule(_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
Version = Annotated[str, _rule(_version), WithJsonSchema({"type": "string", "pattern": f"^{_SEMVER}$"})]
GitUrl = Annotated[str, _rule(_git_url), WithJsonSchema({"type": "string", "pattern": "^(https|ssh)://.+$"})]
Branch = Annotated[str, _rule(_branch), WithJsonSchema({"type": "string", "minLength": 1})]
AgeRecipient = Annotated[
    str,
    _rule(_recipient),
    WithJsonSchema({"type": "string", "pattern": "^age1[023456789acdefghjklmnpqrstuvwxyz]{58}$"}),
]
SshKey = Annotated[str, _rule(_ssh_key), WithJsonSchema({"type": "string", "pattern": "^(ssh|ecdsa|sk)-"})]
TimeZone = Annotated[str, _rule(_time_zone), WithJsonSchema({"type": "string", "examples": ["UTC", "Europe/Berlin"]})]
Locale = Annotated[str, _rule(_locale), WithJsonSchema({"type": "string", "examples": ["en_US.UTF-8"]})]
Device = Annotated[str, _rule(_device), WithJsonSchema({"type": "string", "pattern": "^/dev/.+$"})]
Interface = Annotated[
    str, _rule(_interface), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9._-]{0,14}$"})
]
ServerName = Annotated[
    str, _rule(_server_name), WithJsonSchema({"type": "string", "examples": ["k8s.example.org", "203.0.113.7"]})
]
Schedule = Annotated[str, _rule(_schedule), WithJsonSchema({"type": "string", "examples": ["0 */6 * * *"]})]
AbsolutePath = Annotated[str, _rule(_absolute), WithJsonSchema({"type": "string", "pattern": "^/.+$"})]
LabelValue = Annotated[str, _rule(_label_value), WithJsonSchema({"type": "string", "maxLength": 63})]
LabelKey = Annotated[str, _rule(_label_key), WithJsonSchema({"type": "string", "minLength": 1})]
Line = Annotated[str, _rule(_one_line), WithJsonSchema({"type": "string", "minLength": 1})]

_as_text = PlainSerializer(str, return_type=str)
Address = Annotated[IPv4Address, _rule(_address), _as_text, WithJsonSchema({"type": "string", "format": "ipv4"})]
Network = Annotated[
    IPv4Network,
    _rule(_network),
    _as_text,
    WithJsonSchema({"type": "string", "pattern": "^[0-9.]+/[0-9]+$"}),
]
Range = Annotated[
    AddressRange,
    _rule(_range),
    _as_text,
    WithJsonSchema({"type": "string", "pattern": "^[0-9.]+ *([-] *[0-9.]+|/[0-9]+)$"}),
]


def unique(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list that says something twice."""
    twice = next((item for position, item in enumerate(items) if item in items[:position]), None)
    if twice is not None:
        raise fail(f"`{twice}` stands twice", "")
    return items


Unique = AfterValidator(unique)
