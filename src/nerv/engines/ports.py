"""Loopback ports that nobody else can take: held by a bound socket while the program that listens there shares them.

Every API server and etcd can listen with SO_REUSEPORT. A socket that is bound and does not listen gets no connections
and keeps the port from everybody but processes of this user that ask to share it, from the choice on and also while a
program is started anew. Two that hold at the same instant would not see each other: so a name stands beside the port,
which nobody can share.
"""

from __future__ import annotations

import errno
import socket

from nerv.errors import NervError

HOST = "127.0.0.1"
_TRIES = 20
"""The kernel may offer a port that another platform holds."""


class HeldPort:
    """`number` is this process's until `release`."""

    def __init__(self, wanted: int = 0) -> None:
        """Hold the port `wanted`, or any free one. Raises NervError when it is taken."""
        try:
            self._socket, self._name = _held(wanted)
        except OSError as error:
            raise NervError(f"port {wanted} of {HOST} is taken: {error.strerror}") from None
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give it back; again is no error."""
        self._socket.close()
        self._name.close()


def _claim(number: int) -> socket.socket:
    """The name of a port, this process's until it is closed. Raises OSError when another has it."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0nerv.port.{number}")
    except OSError:
        name.close()
        raise
    return name


def _held(wanted: int) -> tuple[socket.socket, socket.socket]:
    for _ in range(_TRIES):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run may linger
        try:
            held.bind((HOST, wanted))
            # kept from whom does not share, as most servers set the same option
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            # only now: before, it would share what another program listens on
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            return held, _claim(held.getsockname()[1])
        except OSError:
            held.close()
            if wanted:
                raise
    raise OSError(errno.EADDRINUSE, "no free one was found")
