"""What a host has: found out without changing it, told with a remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from dmvpn_lab import host
from dmvpn_lab.host import Fact


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def fact(name: str) -> Fact:
    return next(each for each in host.facts() if each.name == name)


@pytest.fixture(params=[True, False], ids=["with GRE", "without GRE"])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(host, "can_run_labs", lambda: request.param)
    return bool(request.param)


def test_each_lack_comes_with_what_to_do(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_which", lambda name: None)
    assert [each for each in host.facts() if not each.ok and not each.remedy] == []


def test_the_programs_that_are_needed_depend_on_the_kernel(native: bool) -> None:
    names = {each.name for each in host.facts()}
    assert ("nsenter" in names) == native
    assert ("qemu-system-x86_64" in names) == ("KVM" in names) == (not native)
    assert "mmdebstrap" in names


def test_what_the_machine_has_is_not_required_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "can_run_labs", lambda: False)
    assert {each.name for each in host.facts() if not each.required} == {
        "GRE", "ESP", "cgroup v2", "overlayfs", "KVM",
    }  # fmt: skip


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert fact("root") == Fact("root", False, "uid 1000", "run as root (sudo)")


def test_too_little_room_is_told_in_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 2_000_000_000))
    room = fact("disk space")
    assert (room.ok, room.required) == (False, True)
    assert room.detail.startswith("2 GB free in ")


def test_a_program_in_sbin_is_found_without_root_s_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "tshark"
    program.write_text("#!/bin/sh\n")
    assert host._which("tshark") is None, "not executable"
    program.chmod(0o755)
    assert host._which("tshark") == str(program)
    assert host._which("sh") is None
    assert host._which("ldconfig") == "/usr/sbin/ldconfig"


def test_missing_packages_are_those_whose_program_is_not_there(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        host, "_which", lambda name: None if name in ("tshark", "mmdebstrap") else "/usr/bin/x"
    )
    assert [package for package, _ in host.missing_packages()] == ["mmdebstrap"]
    assert [package for package, _ in host.missing_packages(tests=True)] == ["tshark"]
    assert all(why for tests in (False, True) for _, why in host.missing_packages(tests=tests))


@pytest.mark.parametrize("words", ["missing-packages", "missing-test-packages"])
def test_the_set_up_script_reads_one_line_a_package(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dmvpn_lab.host", words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(re.fullmatch(r"[a-z0-9.+-]+\t.+", line) for line in done.stdout.splitlines())
    assert done.stderr == ""


@pytest.mark.root
def test_the_probe_leaves_nothing_on_the_host() -> None:
    before = os.listdir("/sys/class/net")
    first, second = host._gre_error(), host._gre_error()
    assert first == second
    assert os.listdir("/sys/class/net") == before


@pytest.mark.parametrize(("file", "line"), [
    ("modules.dep", "kernel/net/ipv4/ip_gre.ko.xz: kernel/net/ipv4/gre.ko.xz"),
    ("modules.builtin", "kernel/net/ipv4/ip_gre.ko"),
])  # fmt: skip
def test_a_module_is_found_loadable_or_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, line: str
) -> None:
    release = tmp_path / os.uname().release
    release.mkdir()
    monkeypatch.setattr(host, "Path", lambda path: tmp_path if path == "/lib/modules" else Path(path))
    assert host._modinfo("ip_gre") is False
    (release / file).write_text(f"{line}\n")
    assert host._modinfo("ip_gre") is True
    assert host._modinfo("gre_ip") is False


def test_it_loads_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, dmvpn_lab.host\n"
        "print([m for m in sys.modules if m.startswith(('pydantic', 'rich', 'yaml', 'pyroute2'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_room_is_looked_for_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobodys"))
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path / "cache"))
    assert host._room().detail.endswith(f"GB free in {tmp_path / 'cache'}")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path / "file" / "cache"))
    assert not host._room().ok
    assert "Not a directory" in host._room().detail
