"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dmvpn_lab.errors import HostError
from dmvpn_lab.files import make_folder, write_whole


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_is_written_and_nothing_else_is_left(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_text(before)
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_what_may_be_read_by_the_owner_only_never_was_readable(tmp_path: Path) -> None:
    write_whole(tmp_path / "secret", b"x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_link_stays_one_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / "pipe", "new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(("name", "why"), [("", "Is a directory"), ("no/file", "No such file or directory")])
def test_what_cannot_be_written_is_told_with_a_hint(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(HostError, match=f"cannot write {tmp_path / name}: {why}") as caught:
        write_whole(tmp_path / name, "x", hint="elsewhere")
    assert caught.value.hint == "elsewhere"
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("old")
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "open", lambda *_: full)
    with pytest.raises(HostError, match="No space left on device"):
        write_whole(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_that_cannot_be_made_is_told_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="Not a directory") as caught:
        make_folder(tmp_path / "file" / "folder", hint="elsewhere")
    assert caught.value.hint == "elsewhere"
