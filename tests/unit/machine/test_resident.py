"""The machine's resident, as far as it runs outside of the machine: what it sends back."""

from __future__ import annotations

import importlib
import io
import socket
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from dmvpn_lab.machine import recipe, wire
from dmvpn_lab.machine.wire import Kind


@pytest.fixture
def resident(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package. It finds its companion beside itself, as in the machine."""
    monkeypatch.setitem(sys.modules, "wire", wire)
    monkeypatch.syspath_prepend(recipe.images_folder() / "machine")
    importlib.import_module("resident.command")
    yield importlib.import_module("resident")
    for name in [name for name in sys.modules if name.partition(".")[0] == "resident"]:
        del sys.modules[name]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection's two ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_only_what_was_asked_for_is_listed(resident: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "named").write_text("a")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "new").write_text("b")
    (tmp_path / "work" / ".hidden").mkdir()
    (tmp_path / "work" / ".hidden" / "kept").write_text("c")
    named, new = str(tmp_path / "named"), str(tmp_path / "work" / "new")
    assert set(resident.files.listing(None, [named, str(tmp_path / "absent")])) == {named}
    assert set(resident.files.listing(str(tmp_path / "work"), [named])) == {named, new}


def test_a_file_that_is_gone_before_it_is_packed_does_not_keep_the_others(
    resident: ModuleType, ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    stays, goes = tmp_path / "stays", tmp_path / "goes"
    stays.write_text("what it says")
    goes.write_text("soon gone")
    after = resident.files.listing(str(tmp_path), [])
    goes.unlink()
    resident.files.send_written(ends[0], {}, after)
    frame = wire.receive_frame(ends[1])
    assert frame is not None
    assert frame[0] is Kind.WRITTEN
    with tarfile.open(fileobj=io.BytesIO(frame[1])) as archive:
        assert archive.getnames() == [str(stays).lstrip("/")]
        member = archive.extractfile(archive.getmembers()[0])
        assert member is not None
        assert member.read() == b"what it says"
