"""Loopback ports that nobody else can take: held by a bound socket while the program that listens there shares them.

etcd and kube-apiserver can listen with SO_REUSEPORT. A socket that is bound and does not listen gets no connections and
keeps the port from everybody but processes of this user that ask to share it, also while a program is started anew.
"""

from __future__ import annotations

import socket

from nerv.errors import NervError

HOST = "127.0.0.1"


class HeldPort:
    """`number` is this process's until `release`."""

    def __init__(self, wanted: int = 0) -> None:
        """Hold the port `wanted`, or any free one. Raises NervError when it is taken."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            self._socket.bind((HOST, wanted))
        except OSError as error:
            self._socket.close()
            raise NervError(f"port {wanted} of {HOST} is taken: {error.strerror}") from None
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give it back; again is no error."""
        self._socket.close()
