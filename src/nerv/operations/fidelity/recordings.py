"""What the upstream engine answered: one file of answers with the day and the versions that gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources as package
from pathlib import Path

from nerv import documents
from nerv.errors import NervError
from nerv.operations.fidelity.playing import Answer

API = "api.json"
FLUX = "flux.json"


@dataclass(frozen=True)
class Recording:
    """`date` is YYYY-MM-DD, `versions` name programs, `answers` go by the cases' identities."""

    date: str
    versions: Mapping[str, str]
    answers: Mapping[str, list[Answer]]


def load(name: str) -> Recording:
    """A recording that comes with NERV. Raises NervError where there is none."""
    try:
        read = documents.load_json((package.files(__package__) / "recordings" / name).read_bytes())
    except FileNotFoundError:
        raise NervError(f"there is no recording {name}", "tests/parity/record.py makes it") from None
    return Recording(read["date"], read["versions"], read["answers"])


def save(path: Path, recording: Recording) -> None:
    """Write a recording so that differences between two are readable."""
    told = {"date": recording.date, "versions": dict(recording.versions), "answers": dict(recording.answers)}
    path.write_bytes(documents.dump_json(told, indent=True) + b"\n")
