"""Set `.venv` up from a lock file. Run by the launcher with the system's Python, so it uses the standard library alone.

Arguments: the checkout's folder and the name of the lock file. The lock file is copied into `.venv` as the last step:
a set-up that was cut off is done again from the start.
"""

import filecmp
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

MINIMUM = (3, 11)
# kubernetes-validate ships the schemas of every release; the platform pins one (src/nerv/kube/schemas.py).
KEPT_SCHEMAS = "v1.31"


def fail(message: str) -> None:
    sys.exit(f"nerv: {message}")


def run(*command: str) -> None:
    """Run a step; when it fails show its output and the command, ready to paste."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout[-3000:])
        fail(f"set-up failed with exit code {done.returncode} in: {' '.join(command)}")


def ensure_venv_module() -> None:
    """Debian splits venv off: as root install it, else name the one command."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"nerv: installing {package} (Debian) ...", file=sys.stderr)
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)
    else:
        fail(f"Python's venv module is missing: sudo apt-get install {package}")


def link_twins(site_packages: Path) -> None:
    """Wheels cannot hold links, so Helm's library lies there three times: make the copies one file."""
    libraries = sorted((site_packages / "helm_python" / "lib").glob("*.so*"))
    for twin in libraries[1:]:
        if filecmp.cmp(libraries[0], twin, shallow=False):
            twin.unlink()
            twin.hardlink_to(libraries[0])


def drop_unused_schemas(site_packages: Path) -> None:
    for folder in (site_packages / "kubernetes_validate" / "kubernetes-json-schema").glob("v*"):
        if not folder.name.startswith(KEPT_SCHEMAS):
            shutil.rmtree(folder)


def size_of(folder: Path) -> int:
    """Bytes on disk; a file with several names counts once."""
    sizes = {(info.st_dev, info.st_ino): info.st_blocks * 512 for info in (p.lstat() for p in folder.rglob("*"))}
    return sum(sizes.values())


def main() -> None:
    here, lock = Path(sys.argv[1]), sys.argv[2]
    if sys.version_info < MINIMUM:
        found = platform.python_version()
        fail(f"Python 3.11 or later is needed, this is {found} (Debian 12 has it: apt-get install python3)")
    if not os.access(here, os.W_OK):
        fail(f"{here} cannot be written; clone NERV into a folder of yours")
    begun = time.monotonic()
    venv = here / ".venv"
    if lock == "requirements.lock":
        ensure_venv_module()
        if shutil.disk_usage(here).free < 2_000_000_000:
            fail(f"less than 2 GB free on the disk of {here}; the set-up needs about 800 MB and as much while it runs")
        print(
            "nerv: first use, setting up .venv from requirements.lock (about 350 MB to fetch, 700 MB on disk) ...",
            file=sys.stderr,
        )
        run(sys.executable, "-m", "venv", "--clear", str(venv))
    else:
        print("nerv: installing the test tools from requirements-dev.lock ...", file=sys.stderr)
    python = str(venv / "bin" / "python")
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
        "--require-hashes",
        "-r",
        str(here / lock),
    )
    site_packages = next(venv.glob("lib/python3*/site-packages"))
    link_twins(site_packages)
    drop_unused_schemas(site_packages)
    (site_packages / "nerv.pth").write_text(f"{here / 'src'}\n")
    run(python, "-m", "compileall", "-q", "-j", "0", str(site_packages), str(here / "src"))
    (venv / "folder").write_text(f"{here}\n")
    shutil.copyfile(here / lock, venv / lock)
    print(f"nerv: set up in {time.monotonic() - begun:.0f} s, {size_of(venv) / 1e6:.0f} MB in .venv", file=sys.stderr)


if __name__ == "__main__":
    main()
