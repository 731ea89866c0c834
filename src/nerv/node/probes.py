"""Probes and life cycle hooks: what is done (`perform`) and when (`watch`). Rules: the kubelet's prober, version 1.31.

One thing is quicker: where no other pod does the same work, a container is asked ten times a second before
`initialDelaySeconds` are over and until it has become ready. Failures in that time do not count; what is up is not kept
waiting. Where a pod takes over from others, which the delay is there for, it is the kubelet's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nerv.kube.objects import Object
from nerv.network.driver import DialError, Network
from nerv.node.context import Sleep

_EAGER = 0.1
_LARGEST_HEAD = 1 << 16

Execute = Callable[[tuple[str, ...]], Awaitable[tuple[int, str]]]


@dataclass(frozen=True)
class Target:
    """Where a container is asked. `execute` runs a command in it: (exit code, output)."""

    network: Network
    address: str
    container: Object
    execute: Execute


async def perform(action: Object, target: Target, timeout: float) -> str:
    """Do what a probe or a hook says. Returns "" or why it failed, in the kubelet's words."""
    try:
        async with asyncio.timeout(timeout):
            if "exec" in action:
                code, output = await target.execute(tuple(action["exec"]["command"]))
                return output.strip() or f"exit code {code}" if code else ""
            if "httpGet" in action:
                return await _http_get(action["httpGet"], target)
            if "sleep" in action:
                await asyncio.sleep(action["sleep"]["seconds"])
                return ""
            connect = action.get("tcpSocket") or action["grpc"]
            _, writer = await target.network.dial(connect.get("host") or target.address, _port(connect, target))
            writer.close()
            return ""
    except TimeoutError:
        return _deadline(action, target, timeout)
    except DialError as error:
        return f'Get "{_url(action["httpGet"], target)}": {error}' if "httpGet" in action else str(error)
    except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
        return str(error) or "connection closed"


def _deadline(action: Object, target: Target, timeout: float) -> str:
    if "httpGet" in action:
        return (
            f'Get "{_url(action["httpGet"], target)}": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers)"
        )
    return f"command timed out after {timeout:g}s" if "exec" in action else "i/o timeout"


def _port(action: Object, target: Target) -> int:
    port = action["port"]
    if isinstance(port, int):
        return port
    for declared in target.container.get("ports", []):
        if declared.get("name") == port:
            return int(declared["containerPort"])
    return int(port) if str(port).isdecimal() else 0


def _url(action: Object, target: Target) -> str:
    host = action.get("host") or target.address
    return f"{action.get('scheme', 'HTTP').lower()}://{host}:{_port(action, target)}{action.get('path', '/')}"


async def _http_get(action: Object, target: Target) -> str:
    host, port = action.get("host") or target.address, _port(action, target)
    reader, writer = await target.network.dial(host, port)
    try:
        if action.get("scheme") == "HTTPS":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # the kubelet does not verify either
            await writer.start_tls(context)
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.31", "Accept": "*/*", "Connection": "close"}
        headers |= {header["name"]: header["value"] for header in action.get("httpHeaders", [])}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {action.get('path', '/')} HTTP/1.1\r\n{lines}\r\n".encode())
        line = await reader.readline()
        code = int(line.split(b" ", 2)[1]) if line.startswith(b"HTTP/") else 0
        return "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"
    finally:
        writer.close()


@dataclass(frozen=True)
class Verdict:
    """The outcome of a probe after its thresholds: `healthy` as it is from now on."""

    healthy: bool
    message: str = ""


async def watch(
    probe: Object,
    target: Target,
    sleep: Sleep,
    on_verdict: Callable[[Verdict], None],
    on_failure: Callable[[str], None],
    *,
    eager: bool,
    fatal: bool,
) -> None:
    """Ask for ever, or where failing is `fatal` (the container is ended for it) until then.

    `on_verdict` hears every change (the first answer too), `on_failure` every failure that counts.
    `eager` asks at once and often until the first success, for readiness and startup.
    """
    period, timeout = float(probe.get("periodSeconds", 10)), float(probe.get("timeoutSeconds", 1))
    delay = float(probe.get("initialDelaySeconds", 0))
    healthy: bool | None = None
    successes = failures = 0
    waited = 0.0
    if not eager:
        await sleep(delay)
    while True:
        problem = await perform(probe, target, timeout)
        if not problem:
            successes, failures = successes + 1, 0
            if healthy is not True and successes >= probe.get("successThreshold", 1):
                healthy = True
                on_verdict(Verdict(True))
        elif not eager or healthy is not None or waited >= delay + period:
            successes, failures = 0, failures + 1
            on_failure(problem)
            if healthy is not False and failures >= probe.get("failureThreshold", 3):
                healthy = False
                on_verdict(Verdict(False, problem))
                if fatal:
                    return
        pause = _EAGER if eager and healthy is None and waited < delay + period else period
        waited += pause
        await sleep(pause)
