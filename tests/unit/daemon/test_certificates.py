"""Certificates of which charon is told, and told again."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.daemon.certificates import Certificates


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    made = [tmp_path / name for name in ("ca.pem", "certificate.pem", "key.pem")]
    for path in made:
        path.write_text(f"this is {path.name}")
    return [str(path) for path in made]


def test_each_file_is_loaded_as_what_it_is(paths: list[str]) -> None:
    assert Certificates(paths).load() == [
        ("load-cert", {"type": "X509", "flag": "CA", "data": b"this is ca.pem"}),
        ("load-cert", {"type": "X509", "flag": "NONE", "data": b"this is certificate.pem"}),
        ("load-key", {"type": "any", "data": b"this is key.pem"}),
    ]


def test_files_that_stay_what_they_are_are_not_loaded_again(paths: list[str]) -> None:
    made = Certificates(paths)
    made.load()
    assert made.renewed() == []


def test_a_renewed_file_takes_the_place_of_all_that_charon_has_and_once_only(paths: list[str]) -> None:
    made = Certificates(paths)
    made.load()
    Path(paths[1]).write_text("a new one")
    commands = made.renewed()
    assert [command for command, _ in commands] == ["clear-creds", "load-cert", "load-cert", "load-key"]
    assert commands[2][1]["data"] == b"a new one"
    assert made.renewed() == []


def test_a_file_that_is_gone_is_an_oserror(paths: list[str]) -> None:
    made = Certificates(paths)
    made.load()
    Path(paths[0]).unlink()
    with pytest.raises(FileNotFoundError):
        made.renewed()


def test_a_router_without_certificates_loads_and_renews_nothing() -> None:
    assert Certificates(()).load() == []
    assert Certificates(()).renewed() == []
