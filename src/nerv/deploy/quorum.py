"""etcd's majority, while servers come and go: pure rules over who is Ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nerv.errors import NervError


def majority(members: int) -> int:
    """How many of so many members must run."""
    return members // 2 + 1


def tolerated(members: int) -> int:
    """How many may fail."""
    return members - majority(members)


def check_absence(servers: Mapping[str, bool], leaving: str) -> str:
    """Whether one server may be away for a while (`servers`: name -> Ready). What to expect, or empty.

    Raises NervError where etcd would lose its majority.
    """
    if leaving not in servers:
        return ""
    if len(servers) == 1:
        return "the only server: the API is away while its K3s starts anew; pods go on"
    _check_majority(servers, leaving, "taking it down")
    return ""


def check_removal(servers: Mapping[str, bool], leaving: Sequence[str]) -> None:
    """Whether servers may leave etcd for good, one by one. Raises NervError where it would lose its majority."""
    left = dict(servers)
    for name in leaving:
        if name not in left:
            continue
        if len(left) == 1:
            raise NervError(f"{name} is the last server: without it there is no cluster", "add another server first")
        _check_majority(left, name, "removing it")
        del left[name]


def _check_majority(servers: Mapping[str, bool], leaving: str, what: str) -> None:
    ready = [name for name, is_ready in servers.items() if is_ready and name != leaving]
    needed = majority(len(servers))
    if len(ready) >= needed:
        return
    down = ", ".join(name for name, is_ready in servers.items() if not is_ready and name != leaving)
    remedy = f"bring {down} up first" if down else "with two servers none can be away: deploy the third first"
    raise NervError(f"{leaving}: {what} leaves {len(ready)} of {len(servers)} servers, etcd needs {needed}", remedy)
