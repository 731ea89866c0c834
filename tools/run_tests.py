"""`./nerv test`: everything that must hold before a change lands. The launcher runs it with the virtual environment.

As root it first installs what single tests need from Debian (Chromium for the browser tests); otherwise those tests
are left out and named at the end. Arguments are handed on to pytest.

`--engine upstream` runs the end-to-end tests of the real control plane, and builds it first where it is not built.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
BIN = HERE / ".venv" / "bin"
CHECKS: tuple[tuple[str, ...], ...] = (
    (str(BIN / "ruff"), "check", "."),
    (str(BIN / "ruff"), "format", "--check", "."),
    (str(BIN / "lint-imports"),),
    (str(BIN / "mypy"),),
)
END_TO_END = ("tests/e2e/test_main_job.py", "tests/e2e/test_upstream.py")
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


def engine_tests(engine: str) -> list[str]:
    """What pytest runs for one engine, whose programs are built first. Exits when they cannot be."""
    if engine == "upstream":
        built = subprocess.run([str(BIN / "python"), "-m", "nerv", "engine", "build", engine], cwd=HERE, check=False)
        if built.returncode:
            sys.exit(built.returncode)
    os.environ["NERV_TEST_ENGINE"] = engine
    return [*END_TO_END, "-k", engine]


def main(arguments: Sequence[str]) -> int:
    begun = time.monotonic()
    if list(arguments[:1]) == ["--engine"] and len(arguments) > 1:
        arguments = [*engine_tests(arguments[1]), *arguments[2:]]
    install_needs()
    failed = [] if arguments else run_checks()
    tests = subprocess.run([str(BIN / "python"), "-m", "pytest", *arguments], cwd=HERE, check=False)
    print(f"checked and tested in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    if failed:
        print(f"failed beside the tests: {', '.join(failed)}", file=sys.stderr)
    return tests.returncode or bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
