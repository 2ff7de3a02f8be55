"""The plugin where no lab can run: it is quiet until a lab is asked for, and then says what to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dmvpn_lab import host
from dmvpn_lab.testing import labs


def test_a_suite_without_a_lab_does_not_load_the_lab_side() -> None:
    code = (
        "import sys, dmvpn_lab.pytest_plugin; "
        "print(sorted(m for m in sys.modules if m.startswith('dmvpn_lab.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    small = ["dmvpn_lab.artefacts", "dmvpn_lab.errors", "dmvpn_lab.pytest_plugin"]
    assert done.stdout.strip() == str(small)


def test_a_test_that_needs_a_lab_fails_where_none_can_run_and_says_what_to_do(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs, "can_run_labs", lambda: False)
    pytester.makepyfile("def test_it(dmvpn_lab): pass", test_other="def test_other(): pass")
    outcome = pytester.runpytest_inprocess("--lab-artefacts", "left")
    outcome.assert_outcomes(passed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*no GRE or ESP*", "*what to do: *dmvpn-lab pytest*"])
    outcome.stdout.no_fnmatch_line("*def get(*")


FAILING = """
    from dmvpn_lab.controller import find_topology
    from dmvpn_lab.errors import LabError
    from dmvpn_lab.testing.lab import LiveLab
    from dmvpn_lab.testing.loop import Loop

    async def refused():
        try:
            raise OSError("the cause")
        except OSError as error:
            raise LabError("hub: refused: the cause") from error

    async def broken():
        raise ZeroDivisionError("a defect")

    def test_an_error_of_ours():
        loop = Loop()
        try:
            loop.run(refused())
        finally:
            loop.close()

    def test_a_wrong_word():
        find_topology("hub-and-spook")

    def test_a_defect():
        loop = Loop()
        try:
            loop.run(broken())
        finally:
            loop.close()
"""


def test_a_report_ends_at_the_line_of_the_test_that_met_an_error_and_shows_a_defect_whole(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(FAILING)
    said = pytester.runpytest_inprocess("-k", "error_of_ours").stdout
    said.fnmatch_lines([">*loop.run(refused())", "E*LabError: hub: refused: the cause"])
    said.no_fnmatch_line("*future.result()*")
    said.no_fnmatch_line("*OSError*")
    said = pytester.runpytest_inprocess("-k", "a_wrong_word").stdout
    said.fnmatch_lines(
        [">*find_topology(*)", "E*UsageError: there is no topology*", "E*did you mean hub-and-spoke*"]
    )
    said.no_fnmatch_line("*def find_topology*")
    said = pytester.runpytest_inprocess("-k", "a_wrong_word", "--full-trace").stdout
    said.fnmatch_lines(["*def find_topology*"])
    said = pytester.runpytest_inprocess("-k", "a_defect").stdout
    said.fnmatch_lines(
        [">*loop.run(broken())", "*return future.result()", '>*raise ZeroDivisionError("a defect")']
    )


def test_the_probe_for_gre_asks_the_kernel_for_nothing_that_it_refuses() -> None:
    error = host._gre_error()
    assert error is None or "not supported" in error or "not in this kernel" in error
