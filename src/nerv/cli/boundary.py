"""The one error boundary of the command line, and the explicit list of verbs.

A domain error is one line on stderr (`nerv: ...`) and its exit code; tracebacks only with `--debug`; Ctrl-C is 130, and
SIGTERM and SIGHUP (128 + number) end a command in the same order.
"""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from nerv import __version__
from nerv.cli.context import Context
from nerv.errors import NervError

VERBS: tuple[tuple[str, str, str], ...] = (
    # verb, module, function (or a group of them)
    ("init", "nerv.cli.init", "init"),
    ("up", "nerv.cli.up", "up"),
    ("down", "nerv.cli.down", "down"),
    ("bootstrap", "nerv.cli.bootstrap", "bootstrap"),
    ("status", "nerv.cli.status", "status"),
    ("get", "nerv.cli.get", "get"),
    ("events", "nerv.cli.events", "events"),
    ("logs", "nerv.cli.podlogs", "logs"),
    ("why", "nerv.cli.why", "why"),
    ("tree", "nerv.cli.tree", "tree"),
    ("trace", "nerv.cli.tree", "trace"),
    ("wait", "nerv.cli.wait", "wait"),
    ("reconcile", "nerv.cli.reconcile", "reconcile"),
    ("suspend", "nerv.cli.reconcile", "suspend"),
    ("resume", "nerv.cli.reconcile", "resume"),
    ("list", "nerv.cli.listing", "list_platforms"),
    ("reset", "nerv.cli.reset", "reset"),
    ("check", "nerv.cli.check", "check"),
    ("charts", "nerv.cli.charts", "charts"),
    ("render", "nerv.cli.render", "render"),
    ("eject", "nerv.cli.render", "eject"),
    ("schema", "nerv.cli.schema", "schema"),
    ("secrets", "nerv.cli.secrets", "app"),
    ("open", "nerv.cli.access", "open_dashboard"),
    ("hosts", "nerv.cli.access", "hosts"),
    ("trust", "nerv.cli.access", "trust"),
    ("console", "nerv.cli.console", "console"),
    ("image", "nerv.cli.image", "image"),
    ("engine", "nerv.cli.engine", "engine"),
    ("fidelity", "nerv.cli.fidelity", "fidelity"),
    ("deploy", "nerv.cli.deploy", "deploy"),
    ("node", "nerv.cli.node", "app"),
    ("upgrade", "nerv.cli.upgrade", "upgrade"),
)


@dataclass
class Ending:
    """What SIGTERM and SIGHUP do to the verb that runs: they end it as Ctrl-C does."""

    received: int = 0
    """The signal that came first; 0 while none has."""

    def exit_code(self, otherwise: int) -> int:
        """128 + the signal that came, else what the verb ended with."""
        return 128 + self.received if self.received else otherwise

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The first one interrupts; from then on it ends the process at once, and the other one does nothing.

        systemd (SendSIGHUP=) and a terminal that closes send both: the second must not break into the clean-up.
        It stays handled, for Python complains of a signal that is ignored between its coming and its turn.
        """
        if self.received:
            return
        self.received = number
        signal.signal(number, signal.SIG_DFL)
        # under asyncio that is its own, which cancels the main task; raising here would end whatever task runs just now
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)


def end_orderly() -> Ending:
    """Have SIGTERM and SIGHUP end whatever verb runs in good order: no child, lock or file is left behind.

    What is ignored (nohup) stays so.
    """
    ending = Ending()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, ending.handle)
    return ending


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application. Where the verb is plain to see only its module is imported: starts stay fast."""
    app = typer.Typer(
        name="nerv",
        help="A NixOS-based Kubernetes GitOps platform, kept as one typed file and run by one program.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    named = [verb for verb in VERBS if verb[0] in arguments]
    for verb, module, function in named or VERBS:
        found = getattr(importlib.import_module(module), function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command(verb)(found)
    if len(named) == 1:
        # a Typer of one command would take the verb for an argument
        app.command("version", hidden=True)(_version)
    return app


def _version() -> None:
    print(f"nerv {__version__}")


def _options(
    context: typer.Context,
    directory: Annotated[
        Path | None, typer.Option("-C", "--directory", metavar="DIR", help="The platform's folder.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
) -> None:
    context.obj = Context(directory, debug)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    arguments = arguments or ["--help"]
    debug = "--debug" in arguments
    try:
        result = build(arguments)(args=list(arguments), standalone_mode=False, prog_name="nerv")
        return result if isinstance(result, int) else 0
    except typer.TyperException as error:
        return _report([error.format_message()], error.exit_code, debug)
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except NervError as error:
        return _report(error.lines(), error.exit_code, debug)
    except BrokenPipeError:
        return 141
    except Exception as error:  # noqa: BLE001  the boundary: a bug is one line too, with the way to its traceback
        hint = "" if debug else " (this is a defect in NERV; run again with --debug for its traceback)"
        return _report([f"{type(error).__name__}: {error}{hint}"], 70, debug)


def _report(lines: Sequence[str], code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    for line in lines:
        print(f"nerv: {line}", file=sys.stderr)
    return code
