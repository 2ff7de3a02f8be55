"""The initramfs: real cpio unpacks it, and it is laid out as the kernel reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.machine import cpio
from tests.unit.programs import path_of


def archive() -> bytes:
    writer = cpio.Writer()
    writer.folder("bin")
    writer.file("bin/busybox", b"\x7fELF" + bytes(range(256)), 0o755)
    writer.file("init", b"#!/bin/sh\n", 0o755)
    writer.file("modules-order", b"", 0o644)
    writer.file("odd", b"abc", 0o600)
    return writer.finish()


def entries(data: bytes) -> list[tuple[str, int, bytes]]:
    """As the kernel's init/initramfs.c walks it: a header of 110 octets, name and data padded to 4."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while True:
        assert at % 4 == 0
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size]
        assert name.endswith(b"\0")
        body = at + 110 + name_size + -(110 + name_size) % 4
        if name == b"TRAILER!!!\0":
            assert body == len(data)
            return found
        found.append((name[:-1].decode(), mode, data[body : body + size]))
        at = body + size + -size % 4


def test_the_kernel_finds_each_entry_with_its_mode_and_data() -> None:
    assert entries(archive()) == [
        ("bin", 0o040755, b""),
        ("bin/busybox", 0o100755, b"\x7fELF" + bytes(range(256))),
        ("init", 0o100755, b"#!/bin/sh\n"),
        ("modules-order", 0o100644, b""),
        ("odd", 0o100600, b"abc"),
    ]


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd", "abcde"])
@pytest.mark.parametrize("size", range(5))
def test_each_length_of_name_and_data_is_padded(name: str, size: int) -> None:
    writer = cpio.Writer()
    writer.file(name, b"x" * size, 0o644)
    writer.file("next", b"y", 0o644)
    assert entries(writer.finish()) == [(name, 0o100644, b"x" * size), ("next", 0o100644, b"y")]


@pytest.mark.program("cpio")
def test_cpio_unpacks_it(tmp_path: Path) -> None:
    argv = [path_of("cpio"), "--extract", "--quiet", "--no-absolute-filenames"]
    done = subprocess.run(argv, input=archive(), cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "bin", "bin/busybox", "init", "modules-order", "odd",
    ]  # fmt: skip
    assert (tmp_path / "bin/busybox").read_bytes() == b"\x7fELF" + bytes(range(256))
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "odd").stat().st_mode & 0o777 == 0o600


@pytest.mark.program("cpio")
def test_cpio_refuses_one_that_was_cut_off(tmp_path: Path) -> None:
    """So that the test above can fail."""
    argv = [path_of("cpio"), "--extract", "--quiet"]
    done = subprocess.run(argv, input=archive()[:300], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0
