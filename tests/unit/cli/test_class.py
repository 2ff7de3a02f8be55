"""`class`: what is refused before anything is served."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.cli.commands import run_here
from dmvpn_lab.errors import HostError, UsageError
from tests.unit.programs import qemu_without_seccomp

ROSTER = "class: unit\nlearners: [anna]\ninstructors: [carla]\n"


@pytest.fixture
def roster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "roster.yml"
    path.write_text(ROSTER)
    return str(path)


def test_passwords_are_printed_once(roster: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(["class", "passwords", roster]) == 0
    first = capsys.readouterr().out
    assert [line.split()[0] for line in first.splitlines()] == ["name", "anna", "carla"]
    assert run_here(["class", "passwords", roster]) == 0
    assert "everybody has a password" in capsys.readouterr().out
    assert run_here(["class", "passwords", roster, "--renew", "anna"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["name", "anna"]
    with pytest.raises(UsageError, match="'eve' is not in"):
        run_here(["class", "passwords", roster, "--renew", "eve"])


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])
def test_without_tls_a_class_is_served_to_this_computer_only(roster: str, address: str) -> None:
    with pytest.raises(UsageError, match="without TLS passwords would cross the network in clear"):
        run_here(["class", "serve", roster, "--address", address])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--address", "localhost"], "is no IP address"),
        (["--certificate", "x.pem"], "TLS takes both"),
        (["--certificate", "x.pem", "--key", "x.pem"], "No such file"),
        ([], "anna has no password"),
    ],
)
def test_what_is_missing_is_told(roster: str, options: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run_here(["class", "serve", roster, *options])


def test_without_qemu_no_class_is_served(
    roster: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_here(["class", "passwords", roster])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(HostError, match="qemu-system-x86_64 is not installed"):
        run_here(["class", "serve", roster])


def test_with_a_qemu_that_cannot_be_confined_no_class_is_served(
    roster: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_here(["class", "passwords", roster])
    qemu_without_seccomp(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(HostError, match=r"cannot be kept from starting programs: .* not enabled") as caught:
        run_here(["class", "serve", roster])
    assert "seccomp" in (caught.value.hint or "")


def test_what_is_forgotten_is_gone(roster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMVPN_LAB_MACHINE", "mine")
    run_here(["class", "passwords", roster])
    (tmp_path / "cache" / "machine-class-unit.anna").mkdir(parents=True)
    assert run_here(["class", "forget", roster]) == 0
    assert not (tmp_path / "state" / "dmvpn-lab" / "classes" / "unit").exists()
    assert list((tmp_path / "cache").glob("machine-*")) == []
    assert os.environ["DMVPN_LAB_MACHINE"] == "mine"


def test_a_certificate_that_is_no_certificate_is_told(roster: str, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("not one")
    with pytest.raises(UsageError, match=r"x\.pem"):
        run_here(["class", "serve", roster, "--certificate", str(tmp_path / "x.pem"),
                  "--key", str(tmp_path / "x.pem")])  # fmt: skip


def test_a_class_is_served_once(roster: str, tmp_path: Path) -> None:
    lock = tmp_path / "state" / "dmvpn-lab" / "classes" / "unit" / "lock"
    lock.parent.mkdir(parents=True)
    argv = ["flock", str(lock), "sh", "-c", "echo held; cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="class unit is served already"):
            run_here(["class", "forget", roster])
        holder.communicate()
