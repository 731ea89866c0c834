"""What the console asks of every node: nothing."""

from __future__ import annotations

from nerv.components.site import Host

HOST = Host()
