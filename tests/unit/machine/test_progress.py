"""What takes minutes says so."""

import re
import time

import pytest

from dmvpn_lab.machine import progress


def test_a_step_that_takes_long_is_named_again_until_the_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SIGN_OF_LIFE_S", 0.05)
    steps = progress.Steps()
    with steps.alive():
        steps("the disk")
        said = ""
        end = time.monotonic() + 10
        while "still at it" not in said and time.monotonic() < end:
            said += capsys.readouterr().err
    assert re.match(r"dmvpn-lab: +0\.0 s  the disk\n", said)
    assert re.search(r"dmvpn-lab: +0\.\d s  the disk: still at it, \d+ s\n", said)


def test_nothing_is_said_before_the_first_step_and_after_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SIGN_OF_LIFE_S", 0.01)
    with progress.Steps().alive():
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
