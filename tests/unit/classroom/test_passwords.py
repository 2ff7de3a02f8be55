"""Passwords: readable, told once, and kept as hashes that only the owner may read."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from dmvpn_lab.classroom import passwords
from dmvpn_lab.classroom.passwords import Passwords
from dmvpn_lab.errors import UsageError


def test_a_password_is_right_for_its_owner_only(tmp_path: Path) -> None:
    kept = Passwords(tmp_path / "class" / "passwords.json")
    new = kept.make(["anna", "bob"])
    assert kept.right("anna", new["anna"])
    assert not kept.right("anna", new["bob"])
    assert not kept.right("anna", "")
    assert not kept.right("carla", new["anna"])
    assert kept.names() == {"anna", "bob"}


def test_what_is_kept_is_no_password_and_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "class" / "passwords.json"
    new = Passwords(path).make(["anna"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not any(part in path.read_text() for part in new["anna"].split("-"))


def test_a_new_password_ends_the_old_one_and_no_other(tmp_path: Path) -> None:
    kept = Passwords(tmp_path / "passwords.json")
    old = kept.make(["anna", "bob"])
    new = kept.make(["anna"])
    assert [kept.right("anna", old["anna"]), kept.right("anna", new["anna"])] == [False, True]
    assert kept.right("bob", old["bob"])


def test_a_password_can_be_read_out_and_is_not_guessed() -> None:
    seen = {passwords.made() for _ in range(200)}
    assert len(seen) == 200
    assert all(re.fullmatch(r"([b-z][aeiou]){2}(-([b-z][aeiou]){2}){3}", each) for each in seen)


def test_who_has_no_password_costs_as_much_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Passwords(tmp_path / "passwords.json")
    kept.make(["anna"])
    hashed: list[str] = []
    scrypt = passwords._scrypt

    def noted(word: str, salt: bytes) -> bytes:
        hashed.append(word)
        return scrypt(word, salt)

    monkeypatch.setattr(passwords, "_scrypt", noted)
    kept.right("nobody", "a")
    kept.right("anna", "b")
    assert hashed == ["a", "b"]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "passwords.json").write_text('{"anna": {"salt": 1}}')
    with pytest.raises(UsageError, match="no passwords can be read"):
        Passwords(tmp_path / "passwords.json").right("anna", "x")
