"""`./nerv test`: everything that must hold before a change lands. The launcher runs it with the virtual environment.

As root it first installs what single tests need from Debian (Chromium for the browser tests); otherwise those tests
are left out and named at the end. Arguments are handed on to pytest.

`--engine upstream` runs the tests of the real control plane, and builds it first where it is not built. In continuous
integration (`CI` is set) it is built where there is Go, beside the other tests, whose waiting leaves a core idle.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nerv.engines.upstream import store, toolchain

HERE = Path(__file__).resolve().parent.parent
BIN = HERE / ".venv" / "bin"
CHECKS: tuple[tuple[str, ...], ...] = (
    (str(BIN / "ruff"), "check", "."),
    (str(BIN / "ruff"), "format", "--check", "."),
    (str(BIN / "lint-imports"),),
    (str(BIN / "mypy"),),
)
# a file's tests stay together (they share a platform), the longest files begin (tests/conftest.py says which)
ON_EVERY_CORE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
# one at a time: a real control plane keeps two cores busy by itself
OF_UPSTREAM = ("-m", "upstream")
BUILD_SECONDS = 18 * 60
"""How long a run waits for the engine, so that it ends within the half hour that CI has."""
BUILD = (str(BIN / "python"), "-m", "nerv", "engine", "build", "upstream")
# program -> Debian package
NEEDS = {
    "git": "git",
    "curl": "curl",
    "chromium": "chromium",
    "nix-instantiate": "nix-bin",
    "shellcheck": "shellcheck",
    "systemd-analyze": "systemd",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "age-keygen": "age",
    "ip": "iproute2",
    "ping": "iputils-ping",
}
# not on everybody's PATH, where Debian puts sshd and ip
SEARCH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def install_needs() -> None:
    """Install the missing programs of NEEDS where this is root on Debian; else say which are missing."""
    missing = [package for program, package in NEEDS.items() if not shutil.which(program, path=SEARCH)]
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        print(f"not installed here, tests that need it are left out: {', '.join(missing)}", file=sys.stderr)
        return
    print(f"installing from Debian: {', '.join(missing)} ...", file=sys.stderr)
    quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
    subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=False, **quiet
    )
    if done.returncode:
        print(f"apt-get install {' '.join(missing)} failed; tests that need it are left out", file=sys.stderr)


def run_checks() -> list[str]:
    """Run lint, format, import contracts and types side by side; the commands that failed."""
    started = [
        (check, subprocess.Popen(check, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for check in CHECKS
    ]
    failed = []
    for check, child in started:
        output, _ = child.communicate()
        name = " ".join((Path(check[0]).name, *check[1:]))
        print(f"{'ok    ' if child.returncode == 0 else 'FAILED'} {name}")
        if child.returncode:
            print(output)
            failed.append(name)
    return failed


def run_tests(*arguments: str) -> int:
    """pytest's exit code."""
    return subprocess.run([str(BIN / "python"), "-m", "pytest", *arguments], cwd=HERE, check=False).returncode


def run_engine(engine: str, arguments: Sequence[str]) -> int:
    """The tests of one engine, whose programs are built first. An exit code."""
    if engine != "upstream":
        print(f"no tests are of an engine `{engine}` alone; upstream has some", file=sys.stderr)
        return 2
    built = subprocess.run(BUILD, cwd=HERE, check=False).returncode
    return built or run_tests(*OF_UPSTREAM, *arguments)


def run_everything() -> int:
    """Checks and all tests; those of the real control plane in a run of their own, where it is built by then."""
    begun = time.monotonic()
    builds = subprocess.Popen(BUILD, cwd=HERE) if is_to_be_built() else None
    try:
        failed = run_checks()
        ended = run_tests(*ON_EVERY_CORE, "-m", "not upstream")
        if builds:
            ended = of_built(builds, begun + BUILD_SECONDS) or ended
        elif store.default().missing():
            print("the upstream engine is not built, its tests left out (`./nerv test --engine upstream` builds it)")
        else:
            ended = run_tests(*OF_UPSTREAM) or ended
    finally:
        if builds:
            builds.terminate()
            builds.wait()
    if failed:
        print(f"failed beside the tests: {', '.join(failed)}", file=sys.stderr)
    return ended or bool(failed)


def of_built(builds: subprocess.Popen[bytes], deadline: float) -> int:
    """The tests of the engine, once it is built. An exit code: a build that fails is a failure, a slow one is told."""
    try:
        code = builds.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        print(f"not built within {BUILD_SECONDS} s: the upstream engine's tests are left out", file=sys.stderr)
        return 0
    return code or run_tests(*OF_UPSTREAM)


def is_to_be_built() -> bool:
    """Whether this is continuous integration on a machine with a Go that is new enough, and without the engine."""
    if not os.environ.get("CI") or not store.default().missing():
        return False
    go = asyncio.run(toolchain.on_path())
    if go is None or not go.is_enough:
        print(
            "no Go 1.25 or later on PATH and the upstream engine is not built: its tests are left out", file=sys.stderr
        )
        return False
    return True


def main(arguments: Sequence[str]) -> int:
    begun = time.monotonic()
    install_needs()
    if list(arguments[:1]) == ["--engine"] and len(arguments) > 1:
        ended = run_engine(arguments[1], arguments[2:])
    else:
        ended = run_tests(*arguments) if arguments else run_everything()
    print(f"checked and tested in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
