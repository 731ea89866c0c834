"""SIGTERM and SIGHUP end a verb as Ctrl-C does, whatever runs when they come, and both of them too."""

from __future__ import annotations

import signal
import sys

import pytest

from nerv import process

_VERB = """
import asyncio, os, signal, sys
from nerv import cli
from nerv.cli import boundary

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started with
sys.argv[1:] = ["list"]
HERE = os.getpid()


async def busy():
    try:
        await asyncio.sleep(0)
        first()
        print("busy went on", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0)
        print("busy cleaned up", flush=True)


async def verb():
    work = asyncio.create_task(busy())
    try:
        await asyncio.sleep(60)
    finally:
        second()
        await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        print("verb cleaned up", flush=True)


def at_once(*numbers):
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        os.kill(HERE, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def first():
    at_once(*map(int, FIRST))


def second():
    at_once(*map(int, SECOND))


boundary.build = lambda arguments: lambda **settings: asyncio.run(verb())
cli.main()
"""
_ORDERLY = "busy went on\nbusy cleaned up\nverb cleaned up\n"


async def _run(first: tuple[int, ...], second: tuple[int, ...]) -> process.Completed:
    script = f"FIRST, SECOND = {tuple(map(int, first))}, {tuple(map(int, second))}\n{_VERB}"
    return await process.run([sys.executable, "-c", script], check=False, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_task_that_runs_when_the_signal_comes_is_not_torn(number: signal.Signals) -> None:
    done = await _run((number,), ())
    assert (done.stdout, done.stderr, done.code) == (_ORDERLY, "", 128 + number)


@pytest.mark.parametrize(
    ("first", "second"), [(signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGTERM)], ids=["SIGTERM", "SIGHUP"]
)
async def test_the_other_signal_does_not_break_into_the_clean_up(first: signal.Signals, second: signal.Signals) -> None:
    done = await _run((first,), (second,))
    assert (done.stdout, done.stderr, done.code) == (_ORDERLY, "", 128 + first)


async def test_both_signals_at_once_are_one() -> None:
    done = await _run((signal.SIGTERM, signal.SIGHUP), ())
    assert (done.stdout, done.stderr) == (_ORDERLY, "")
    assert done.code in (128 + signal.SIGTERM, 128 + signal.SIGHUP)


async def test_the_same_signal_again_ends_it_at_once() -> None:
    done = await _run((signal.SIGTERM,), (signal.SIGTERM,))
    assert (done.stdout, done.code) == ("busy went on\n", -signal.SIGTERM)
