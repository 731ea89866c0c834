"""Marks of tests that need a program from Debian; `./nerv test` installs them (tools/run_tests.py, NEEDS)."""

from __future__ import annotations

import shutil

import pytest

SSH = pytest.mark.skipif(not shutil.which("ssh"), reason="needs the OpenSSH client (Debian: openssh-client)")
