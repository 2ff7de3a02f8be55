"""The plugin where no lab can run: it is quiet until a lab is asked for, and then says what to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dmvpn_lab import host
from dmvpn_lab.testing import labs


def test_a_suite_without_a_lab_does_not_load_the_lab_side() -> None:
    code = (
        "import sys, dmvpn_lab.pytest_plugin; print([m for m in sys.modules if m.startswith('dmvpn_lab.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['dmvpn_lab.pytest_plugin']"


def test_a_test_that_needs_a_lab_fails_where_none_can_run_and_says_what_to_do(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "can_run_labs", lambda: False)
    pytester.makepyfile("def test_it(dmvpn_lab): pass", test_other="def test_other(): pass")
    outcome = pytester.runpytest_inprocess("--lab-artefacts", "left")
    outcome.assert_outcomes(passed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*no GRE or ESP*dmvpn-lab pytest*"])


def test_the_probe_for_gre_asks_the_kernel_for_nothing_that_it_refuses() -> None:
    error = host._gre_error()
    assert error is None or "not supported" in error or "not in this kernel" in error
