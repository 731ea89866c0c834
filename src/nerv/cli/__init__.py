"""The command line: one module per verb, the one error boundary, output formats.

Belongs here: arguments and presentation. Not: work; verbs call operations, rendering and checks.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. `--version` answers before anything heavy is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from nerv import __version__

        print(f"nerv {__version__}")
        return
    from nerv.cli import boundary

    ending = boundary.end_orderly()
    sys.exit(ending.exit_code(boundary.run(sys.argv[1:])))
