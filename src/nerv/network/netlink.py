"""The few rtnetlink messages that the cluster's network needs: links, veth pairs, addresses and routes.

A general netlink library takes longer to import than the whole relay takes to start. One `Netlink` talks to the
network namespace it was opened in. Layouts: rtnetlink(7), uapi/linux/rtnetlink.h, if_link.h, veth.h. IPv4 alone.
"""

from __future__ import annotations

import os
import socket
import struct

_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE, _NLM_F_REPLACE = 1, 4, 0x200, 0x400, 0x100
_RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR, _RTM_DELADDR, _RTM_NEWROUTE, _RTM_DELROUTE = 16, 17, 20, 21, 24, 25
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 10, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_IFF_UP = 1
_RT_TABLE_MAIN, _RT_TABLE_LOCAL = 254, 255
_RTPROT_STATIC = 4
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_HOST = 0, 253, 254
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_NESTED = 0x8000


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _address(kind: int, value: str) -> bytes:
    return _attribute(kind, socket.inet_aton(value))


def hardware_address(address: str) -> bytes:
    """The MAC address of whoever has an IPv4 address: one address, one MAC, as CNI's bridges do (0a:58, the address).

    Neighbours remember a MAC for up to half a minute. By itself a bridge takes the lowest of its ports' random ones and
    changes it as pods come and go, and the next pod with an address would have another than the one before.
    """
    return b"\x0a\x58" + socket.inet_aton(address)


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


class Netlink:
    """A netlink socket bound to the network namespace that was current when it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def add_bridge(self, name: str, hardware: bytes) -> None:
        """A bridge that keeps the MAC address `hardware` whatever its ports are."""
        body = _link() + _text(_IFLA_IFNAME, name) + _attribute(_IFLA_ADDRESS, hardware) + _kind("bridge")
        self._send(_RTM_NEWLINK, body, _NLM_F_CREATE | _NLM_F_EXCL)

    def add_veth(self, name: str, hardware: bytes, peer: str, peer_namespace: int) -> None:
        """A veth pair: `name` here with the MAC address `hardware`, `peer` in the namespace of `peer_namespace`."""
        other = _link() + _text(_IFLA_IFNAME, peer) + _number(_IFLA_NET_NS_FD, peer_namespace)
        data = _attribute(_IFLA_INFO_DATA | _NESTED, _attribute(_VETH_INFO_PEER | _NESTED, other))
        body = _link() + _text(_IFLA_IFNAME, name) + _attribute(_IFLA_ADDRESS, hardware) + _kind("veth", data)
        self._send(_RTM_NEWLINK, body, _NLM_F_CREATE | _NLM_F_EXCL)

    def set_up(self, name: str) -> None:
        self._send(_RTM_NEWLINK, _link(socket.if_nametoindex(name), _IFF_UP, _IFF_UP))

    def set_master(self, name: str, bridge: str) -> None:
        body = _link(socket.if_nametoindex(name)) + _number(_IFLA_MASTER, socket.if_nametoindex(bridge))
        self._send(_RTM_NEWLINK, body)

    def delete_link(self, name: str) -> None:
        self._send(_RTM_DELLINK, _link(socket.if_nametoindex(name)))

    def add_address(self, name: str, address: str, prefix: int) -> None:
        self._send(_RTM_NEWADDR, _interface_address(name, address, prefix), _NLM_F_CREATE | _NLM_F_REPLACE)

    def delete_address(self, name: str, address: str, prefix: int) -> None:
        self._send(_RTM_DELADDR, _interface_address(name, address, prefix))

    def add_local_route(self, destination: str, prefix: int, device: str) -> None:
        """AnyIP: every address of the network counts as this namespace's own."""
        header = struct.pack(
            "=8BI", socket.AF_INET, prefix, 0, 0, _RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_HOST, _RTN_LOCAL, 0
        )
        body = header + _address(_RTA_DST, destination) + _number(_RTA_OIF, socket.if_nametoindex(device))
        self._send(_RTM_NEWROUTE, body, _NLM_F_CREATE | _NLM_F_REPLACE)

    def add_neighbour_route(self, address: str, device: str, source: str) -> None:
        """One address of a network that is local by `add_local_route` stands behind a link instead.

        It goes into the same table: whatever the length of its prefix, a local route there counts before others.
        """
        body = _host_route(address, device) + _address(_RTA_PREFSRC, source)
        self._send(_RTM_NEWROUTE, body, _NLM_F_CREATE | _NLM_F_REPLACE)

    def delete_neighbour_route(self, address: str, device: str) -> None:
        """The address is local again."""
        self._send(_RTM_DELROUTE, _host_route(address, device))

    def add_default_route(self, gateway: str) -> None:
        header = struct.pack(
            "=8BI", socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0
        )
        self._send(_RTM_NEWROUTE, header + _address(_RTA_GATEWAY, gateway), _NLM_F_CREATE | _NLM_F_REPLACE)

    def _send(self, kind: int, body: bytes, flags: int = 0) -> None:
        self._sequence += 1
        flags |= _NLM_F_REQUEST | _NLM_F_ACK
        self._socket.send(struct.pack("=IHHII", 16 + len(body), kind, flags, self._sequence, 0) + body)
        answer = self._socket.recv(65536)
        (answer_kind,) = struct.unpack_from("=H", answer, 4)
        if answer_kind == _NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", answer, 16)
            if code:
                raise OSError(-code, f"netlink: {os.strerror(-code)}")


def _host_route(address: str, device: str) -> bytes:
    header = struct.pack(
        "=8BI", socket.AF_INET, 32, 0, 0, _RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_LINK, _RTN_UNICAST, 0
    )
    return header + _address(_RTA_DST, address) + _number(_RTA_OIF, socket.if_nametoindex(device))


def _kind(name: str, data: bytes = b"") -> bytes:
    return _attribute(_IFLA_LINKINFO | _NESTED, _attribute(_IFLA_INFO_KIND, name.encode()) + data)


def _interface_address(name: str, address: str, prefix: int) -> bytes:
    header = struct.pack("=4BI", socket.AF_INET, prefix, 0, 0, socket.if_nametoindex(name))
    return header + _address(_IFA_LOCAL, address) + _address(_IFA_ADDRESS, address)
