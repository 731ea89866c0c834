"""`nerv check` of the five-node example, part by part, against nix-instantiate evaluating the same hosts.

    .venv/bin/python -m bench.checks

The peer is a small module system written in Nix over the same table of options (tests/support/nix-instantiate): real
NixOS evaluates far more. Without nix-instantiate only NERV's numbers are shown.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import nix, platforms, trees

from nerv import checks
from nerv.checks import repository
from nerv.checks.nixos import options, proof

RUNS = 5


def measured(what: str, run: Callable[[], object]) -> float:
    """The median of some runs, in seconds; printed."""
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    middle = statistics.median(times)
    print(f"{what:<46} {middle * 1000:7.0f} ms  (fastest {min(times) * 1000:.0f})")
    return middle


def main() -> None:
    platform = platforms.example("many-nodes")
    files = trees.whole(platform)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "platform"
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        read = repository.read(root)
        measured("reading the repository", lambda: repository.read(root))
        for check in checks.CHECKS:
            name = f"{check.__module__.removeprefix('nerv.checks.')}.{check.__name__}"
            measured(name, lambda check=check: list(check(platform, read)))  # type: ignore[misc]
        whole = measured("all of it", lambda: checks.run(platform, repository.read(root)))
        print(f"{'limit':<46} {2000:7.0f} ms  {'kept' if whole <= 2 else 'BROKEN'}")
        measured("of which the table of options, once a run", lambda: (options.table.cache_clear(), options.table()))
        mine = measured("hosts and rules", lambda: list(proof.hosts(platform, read)))
        if shutil.which("nix-instantiate"):
            theirs = measured("nix-instantiate, the same hosts", lambda: nix.evaluated(files, Path(folder)))
            print(f"nix-instantiate takes {theirs / mine:.1f} times as long as NERV's own evaluation")


if __name__ == "__main__":
    main()
