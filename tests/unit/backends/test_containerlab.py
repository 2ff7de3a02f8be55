"""Where there is no containerlab: what helps depends on where the lab would run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dmvpn_lab.backends.containerlab import ContainerlabBackend
from dmvpn_lab.errors import HostError
from tests.unit.backends.plain import plain_plan


@pytest.fixture(autouse=True)
def _no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def refused() -> HostError:
    with pytest.raises(HostError) as caught:
        asyncio.run(ContainerlabBackend().up(plain_plan("x"), {}, lambda *_: None))
    return caught.value


def test_on_a_host_that_runs_labs_it_can_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    error = refused()
    assert str(error) == "containerlab is not installed"
    assert "install it" in (error.hint or "")


def test_in_the_machine_what_the_host_has_installed_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMVPN_LAB_INSIDE_MACHINE", "1")
    error = refused()
    assert "the machine, which has no containerlab" in str(error)
    assert "install it" not in (error.hint or "")
    assert "--backend docker" in (error.hint or "")
    assert "docs/containers.md" in (error.hint or "")
