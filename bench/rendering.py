"""How long rendering takes: the whole repository of the five-machine example, as `nerv render` makes it in memory.

    .venv/bin/python bench/rendering.py [--runs N]

Prints the median of N runs (default 9) in milliseconds with the spread, what of it is the flake of the machines, and
the ratio to the peer: one `kubectl kustomize` of the same repository (cluster folder, apps, apps-config), by which
Flux repositories are proved elsewhere. The goal is 300 ms in all.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import platforms

from nerv.rendering.nixos import files as nixos
from nerv.rendering.tree import tree

GOAL = 300.0
EXAMPLE = "many-nodes"


def milliseconds(work: Callable[[], object], runs: int) -> list[float]:
    """How long each run took."""
    took = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    return took


def told(name: str, took: list[float]) -> str:
    return f"{name:<44} {statistics.median(took):8.1f} ms  ({min(took):.1f} to {max(took):.1f})"


def kustomize(folder: Path) -> None:
    """Build what Flux would build, in one run of kubectl."""
    kubectl = Path(sys.executable).parent / "kubectl"
    subprocess.run([str(kubectl), "kustomize", str(folder)], check=True, stdout=subprocess.DEVNULL)


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    # encrypted files are made by sops; the peer only copies them
    secrets = folder / "secrets" / "kustomization.yaml"
    for line in secrets.read_text().splitlines():
        if line.startswith("- "):
            name = line.removeprefix("- ")
            secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name.split('.')[0]}, namespace: default}}\n"
            (folder / "secrets" / name).write_text(secret)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    begun = time.perf_counter()
    platform = platforms.example(EXAMPLE)
    public = platforms.public(platform)
    made = tree(platform, public)
    first = (time.perf_counter() - begun) * 1000
    whole = milliseconds(lambda: tree(platform, public), runs)
    print(told(f"the whole tree, {len(made)} files", whole))
    print(told("of it the flake of the machines", milliseconds(lambda: nixos.files(platform), runs)))
    print(f"{'the first time, with reading the definition':<44} {first:8.1f} ms")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, made)
        (root / "kustomization.yaml").write_text(
            f"resources: [{platform.cluster_path}, apps, apps-config]\n",
        )
        peer = milliseconds(lambda: kustomize(root), runs)
    print(told("peer: one kubectl kustomize of the same", peer))
    median = statistics.median(whole)
    print(f"ratio {median / statistics.median(peer):.2f}, goal {GOAL:.0f} ms: {'kept' if median <= GOAL else 'MISSED'}")
    return median > GOAL


if __name__ == "__main__":
    sys.exit(main())
