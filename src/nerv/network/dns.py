"""DNS answers for the cluster's names (RFC 1035; names by the Kubernetes DNS specification 1.1.0). Pure.

Names under the cluster's domain are answered with authority (NXDOMAIN when there is none), the mirror's host names
from the table, and everything else is REFUSED at once: pods have no way to addresses outside of the cluster, so an
answer would only turn a clear failure into a slow one.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TYPE_A, _TYPE_SRV, _TYPE_ANY = 1, 33, 255
_CLASS_IN = 1
_NXDOMAIN, _REFUSED, _FORMAT_ERROR, _NOT_IMPLEMENTED = 3, 5, 1, 4
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0400, 0x0200, 0x0100
_TTL = 5
"""Seconds, as the kubernetes plugin of CoreDNS answers."""

UDP_SIZE = 512
_HEADER = struct.Struct("!6H")


class Service(NamedTuple):
    """Target of an SRV record."""

    port: int
    host: str


class Zone(NamedTuple):
    """What is known: host names to IPv4 addresses and service names to targets; all lower case, no dot at the end."""

    domain: str
    addresses: Mapping[str, Sequence[str]]
    services: Mapping[str, Sequence[Service]]

    def lookup(self, host: str) -> Sequence[str]:
        """The addresses of a host: its own where it is written as one. Raises LookupError for an unknown name."""
        try:
            return (str(ipaddress.IPv4Address(host)),)
        except ValueError:
            found = self.addresses.get(host.lower().rstrip("."), ())
        if not found:
            raise LookupError(f"lookup {host}: no such host")
        return found


def _read_name(message: bytes, offset: int) -> tuple[str, int]:
    labels: list[str] = []
    while True:
        length = message[offset]
        if length & 0xC0:
            raise ValueError("a question's name is never compressed")
        offset += 1
        if not length:
            return ".".join(labels), offset
        labels.append(message[offset : offset + length].decode("ascii"))
        offset += length


def _write_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".") if label) + b"\0"


def _record(name: bytes, kind: int, data: bytes) -> bytes:
    return name + struct.pack("!HHIH", kind, _CLASS_IN, _TTL, len(data)) + data


def _records(zone: Zone, name: str, kind: int) -> tuple[list[bytes], list[bytes], int]:
    """Answers, additional records and the response code for one question."""
    pointer = b"\xc0\x0c"  # the question's name, which always stands at offset 12
    key = name.lower()
    answers: list[bytes] = []
    additional: list[bytes] = []
    if kind in (_TYPE_A, _TYPE_ANY):
        answers += [_record(pointer, _TYPE_A, socket.inet_aton(address)) for address in zone.addresses.get(key, ())]
    if kind in (_TYPE_SRV, _TYPE_ANY):
        services = zone.services.get(key, ())
        for service in services:
            host = _write_name(service.host)
            answers.append(
                _record(pointer, _TYPE_SRV, struct.pack("!3H", 0, 100 // len(services), service.port) + host)
            )
            for address in zone.addresses.get(service.host, ()):
                additional.append(_record(host, _TYPE_A, socket.inet_aton(address)))
    if answers or key in zone.addresses or key in zone.services:
        return answers, additional, 0
    if key == zone.domain or key.endswith("." + zone.domain):
        # "Empty non-terminals" exist: svc.cluster.local has children and no records.
        below = "." + key
        exists = any(known.endswith(below) for table in (zone.addresses, zone.services) for known in table)
        return [], [], 0 if exists else _NXDOMAIN
    return [], [], _REFUSED


def answer(zone: Zone, message: bytes, size: int | None = None) -> bytes | None:
    """The response to one query; None for what is no query at all. With `size` it is truncated to that many bytes."""
    if len(message) < _HEADER.size:
        return None
    identifier, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & _RESPONSE:
        return None
    try:
        name, end = _read_name(message, _HEADER.size)
        kind, _ = struct.unpack_from("!HH", message, end)
    except (IndexError, ValueError, struct.error):
        return _HEADER.pack(identifier, _RESPONSE | _FORMAT_ERROR, 0, 0, 0, 0)
    question = message[_HEADER.size : end + 4]
    echoed = _RESPONSE | _AUTHORITATIVE | (flags & _RECURSION_DESIRED)
    if flags & 0x7800 or questions != 1:
        return _HEADER.pack(identifier, echoed | _NOT_IMPLEMENTED, 1, 0, 0, 0) + question
    answers, additional, code = _records(zone, name, kind)
    if code == _REFUSED:
        echoed &= ~_AUTHORITATIVE
    body = question + b"".join(answers) + b"".join(additional)
    if size is not None and _HEADER.size + len(body) > size:
        return _HEADER.pack(identifier, echoed | _TRUNCATED, 1, 0, 0, 0) + question
    return _HEADER.pack(identifier, echoed | code, 1, len(answers), 0, len(additional)) + body
