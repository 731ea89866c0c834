"""DNS answers, byte for byte where clients look."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from nerv.network import dns
from nerv.network.dns import Service, Zone

ZONE = Zone(
    "cluster.local",
    {
        "web.default.svc.cluster.local": ["10.43.0.7"],
        "a.db.default.svc.cluster.local": ["10.42.0.5"],
        "charts.example.org": ["10.43.0.9"],
        "many.default.svc.cluster.local": [f"10.42.0.{number}" for number in range(2, 200)],
    },
    {"_http._tcp.web.default.svc.cluster.local": [Service(80, "web.default.svc.cluster.local")]},
)


def query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def ask(name: str, kind: int = 1, size: int | None = None) -> tuple[int, int, bytes]:
    """Response code, number of answers, and the whole message."""
    message = dns.answer(ZONE, query(name, kind), size)
    assert message is not None
    identifier, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
    assert (identifier, questions, flags & 0x8000) == (7, 1, 0x8000)
    return flags & 0xF, answers, message


def test_names_of_services_have_their_address_whatever_their_case() -> None:
    code, answers, message = ask("WEB.default.svc.Cluster.local")
    assert (code, answers) == (0, 1)
    assert message.endswith(struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton("10.43.0.7"))


def test_ports_of_services_have_srv_records_with_the_address_beside() -> None:
    code, answers, message = ask("_http._tcp.web.default.svc.cluster.local", 33)
    assert (code, answers) == (0, 1)
    assert struct.pack("!3H", 0, 100, 80) in message
    assert message.endswith(socket.inet_aton("10.43.0.7"))


def test_ipv6_of_a_name_that_exists_is_empty_and_not_an_error() -> None:
    assert ask("web.default.svc.cluster.local", 28)[:2] == (0, 0)


def test_unknown_names_of_the_cluster_do_not_exist_and_others_are_refused() -> None:
    assert ask("nothing.default.svc.cluster.local")[:2] == (3, 0)
    assert ask("www.example.org")[:2] == (5, 0)


def test_a_name_with_names_below_it_exists() -> None:
    assert ask("default.svc.cluster.local")[:2] == (0, 0)


def test_host_names_of_the_mirror_are_answered() -> None:
    assert ask("charts.example.org")[:2] == (0, 1)


def test_long_answers_are_truncated_for_datagrams_alone() -> None:
    assert ask("many.default.svc.cluster.local")[1] == 198
    code, answers, message = ask("many.default.svc.cluster.local", size=512)
    assert (code, answers) == (0, 0)
    assert struct.unpack_from("!H", message, 2)[0] & 0x0200


@given(st.binary(max_size=80))
def test_no_message_breaks_it(message: bytes) -> None:
    response = dns.answer(ZONE, message)
    assert response is None or response[:2] == message[:2]
