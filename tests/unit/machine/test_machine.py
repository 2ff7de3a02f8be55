"""The machine's files, its QEMU and its process, without booting one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dmvpn_lab.errors import HostError, UsageError
from dmvpn_lab.machine import paths, qemu, vm
from dmvpn_lab.machine.build import image_name
from dmvpn_lab.machine.qemu import Hardware, Monitor
from dmvpn_lab.machine.recipe import load
from tests.unit.programs import path_of, qemu_without_seccomp

HARDWARE = Hardware("tcg", 2, 4096, "QEMU emulator version 7.2.9")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DMVPN_LAB_MACHINE", raising=False)
    return tmp_path / "cache"


def test_the_cache_is_the_users_own(cache: Path) -> None:
    assert paths.cache_folder() == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_without_a_wish_the_cache_is_where_caches_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DMVPN_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert paths.cache_folder() == tmp_path / "xdg" / "dmvpn-lab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert paths.cache_folder() == tmp_path / "home" / ".cache" / "dmvpn-lab"


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(HostError, match="Not a directory") as caught:
        paths.cache_folder()
    assert "DMVPN_LAB_CACHE" in (caught.value.hint or "")


def test_two_machines_share_the_cache_and_no_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = paths.machine_paths()
    monkeypatch.setenv("DMVPN_LAB_MACHINE", "second")
    two = paths.machine_paths()
    assert (one.folder, two.folder) == (cache / "machine-default", cache / "machine-second")
    files = [one.disk, one.key, one.token, one.running, one.console, one.monitor]
    assert len(set(files)) == 6
    assert all(file.parent == one.folder for file in files)


def test_a_second_process_waits_for_the_lock() -> None:
    code = (
        "from dmvpn_lab.machine.paths import locked\nwith locked('build'): print('held', flush=True); input()"
    )
    try_it = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    lock = str(paths.cache_folder() / "build.lock")
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        refused = subprocess.run([sys.executable, "-c", try_it, lock], capture_output=True, check=False)
        assert b"BlockingIOError" in refused.stderr
        holder.stdin.write("\n")
        holder.stdin.flush()
        holder.wait()
    with paths.locked("build"):
        pass


def test_a_saved_state_is_keyed_by_all_that_it_depends_on() -> None:
    others = [
        replace(HARDWARE, accelerator="kvm"),
        replace(HARDWARE, cpus=1),
        replace(HARDWARE, memory_mib=2048),
        replace(HARDWARE, version="QEMU emulator version 8.0.0"),
    ]
    assert len({HARDWARE.key(), *(each.key() for each in others)}) == 5


def command(*, resume: bool) -> list[str]:
    folder = Path("/c")
    return qemu.command_line(
        HARDWARE,
        folder / "image",
        folder / "disk",
        Path("qmp"),
        folder / "log",
        5000,
        "secret",
        resume=resume,
    )


def test_the_machine_reaches_nobody_and_is_reached_from_this_host_only() -> None:
    network = next(word for word in command(resume=False) if word.startswith("user,"))
    assert "restrict=on" in network
    assert "hostfwd=tcp:127.0.0.1:5000-10.0.2.15:4545" in network


def test_qemu_itself_starts_no_program_and_gains_no_right() -> None:
    argv = command(resume=False)
    assert argv[argv.index("-sandbox") + 1] == "on,obsolete=deny,elevateprivileges=deny,spawn=deny"


def test_how_much_memory_a_machine_has_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "version", lambda: "7.2.9")
    monkeypatch.setenv("DMVPN_LAB_MACHINE_MIB", "777")
    assert qemu.hardware("tcg").memory_mib == 777
    monkeypatch.delenv("DMVPN_LAB_MACHINE_MIB")
    assert qemu.hardware("tcg").memory_mib > 777


def test_resuming_is_booting_with_the_saved_state_loaded() -> None:
    assert command(resume=True) == [*command(resume=False), "-loadvm", "warm"]


def test_emulation_never_asks_for_the_hosts_processor() -> None:
    argv = command(resume=False)
    assert argv[argv.index("-cpu") + 1].startswith("qemu64")
    assert "host" in replace(HARDWARE, accelerator="kvm").cpu_model


@pytest.mark.program("qemu-system-x86_64")
def test_qemu_speaks_qmp_as_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [path_of("qemu-system-x86_64"), "-machine", "none", "-nodefaults", "-display", "none"]
    argv += ["-qmp", "unix:qmp,server=on,wait=on"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # "waiting for connection"
        monitor = Monitor(Path("qmp"))
        with pytest.raises(HostError, match="QEMU could not save the machine's state"):
            monitor.save()  # this one has no disk
        with pytest.raises(HostError, match="QEMU refused no-such-command"):
            monitor._execute("no-such-command")
        monitor.quit()
        monitor.close()
        assert process.wait(10) == 0


@pytest.mark.program("qemu-system-x86_64")
def test_the_version_is_qemus_own() -> None:
    assert qemu.version().startswith("QEMU emulator version")


def test_without_qemu_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="qemu-system-x86_64 is not installed"):
        qemu.version()


def test_a_qemu_that_cannot_be_confined_is_told_before_an_image_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    qemu_without_seccomp(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(HostError, match="-sandbox support is not enabled in this QEMU binary"):
        vm.ensure(lambda text: None)
    assert not list(cache.glob("image-*"))


@pytest.mark.program("qemu-system-x86_64")
def test_a_word_that_qemus_sandbox_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "SANDBOX", f"{qemu.SANDBOX},no-such=deny")
    with pytest.raises(HostError, match="Invalid parameter 'no-such'"):
        qemu.version()


@pytest.mark.program("qemu-img")
def test_what_qemu_said_when_it_did_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    qemu_that(tmp_path, "echo no filter in this kernel >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(vm, "machine_image", lambda _progress: tmp_path)
    with pytest.raises(HostError, match="the machine did not start: no filter in this kernel"):
        vm.ensure(lambda text: None)


def qemu_that(folder: Path, does: str) -> None:
    """Put a QEMU there that has a version, and does that."""
    program = folder / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\nfor word; do [ $word = --version ] && exec echo QEMU 1; done\n{does}\n")
    program.chmod(0o755)


def remember(pid: int, started: int | None) -> None:
    place = paths.machine_paths()
    facts = {"pid": pid, "started": started, "port": 5000, "accelerator": "tcg", "image": "image-1"}
    place.running.write_text(json.dumps(facts))
    place.token.write_text("secret")


def test_a_machine_is_found_by_its_process() -> None:
    started = vm._start_time(os.getpid())
    remember(os.getpid(), started)
    found = vm.find()
    assert found is not None
    assert (found.pid, found.port, found.token) == (os.getpid(), 5000, "secret")


def test_a_process_that_took_over_the_number_is_no_machine() -> None:
    started = vm._start_time(os.getpid())
    assert started is not None
    remember(os.getpid(), started - 1)
    assert vm.find() is None


def test_a_machine_of_another_recipe_is_not_current(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(os.getpid(), vm._start_time(os.getpid()))
    found = vm.find()
    assert found is not None
    monkeypatch.setattr(vm, "image_name", lambda _recipe: "image-1")
    assert found.current
    monkeypatch.setattr(vm, "image_name", lambda _recipe: "image-2")
    assert not found.current


def test_a_process_that_ended_is_no_machine() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        started = vm._start_time(process.pid)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert vm._start_time(process.pid) is None, "a zombie"
        remember(process.pid, started)
        assert vm.find() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"pid": 1}', '{"token": "x"}'])
def test_a_damaged_record_is_no_machine(text: str) -> None:
    remember(1, 1)
    paths.machine_paths().running.write_text(text)
    assert vm.find() is None


def test_without_a_machine_there_is_none_to_find_or_stop() -> None:
    assert vm.find() is None
    assert vm.stop() is False


def test_stopping_ends_the_process_and_forgets_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        remember(process.pid, vm._start_time(process.pid))
        assert vm.stop() is True
        assert vm._start_time(process.pid) is None
        assert vm.find() is None
        assert not paths.machine_paths().running.exists()


def test_stopping_spares_a_process_that_took_over_the_number() -> None:
    started = vm._start_time(os.getpid())
    assert started is not None
    vm._end(vm.Running(os.getpid(), started - 1, 5000, "tcg", "image-1", "secret"))  # this test goes on


def test_removing_deletes_what_was_built_and_nothing_else(cache: Path) -> None:
    remember(os.getpid(), 0)
    for name in ("image-1", "node-root-1"):
        (cache / name).mkdir()
    vm.remove()
    assert sorted(p.name for p in cache.iterdir() if p.is_dir() and p.name != "machine-default") == [
        "node-root-1"
    ]
    assert not (cache / "machine-default").exists()


def test_a_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    vm._write_private(path, "secret")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("secret", 0o600)


def test_kvm_that_did_not_work_is_not_tried_again_until_something_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(qemu, "version", lambda: "QEMU 1")
    assert vm._accelerators() == ("kvm", "tcg")
    vm._remember_kvm(False)
    assert vm._accelerators() == ("tcg",)
    vm._remember_kvm(True)
    assert vm._accelerators() == ("kvm", "tcg")
    vm._remember_kvm(False)
    monkeypatch.setattr(qemu, "version", lambda: "QEMU 2")
    assert vm._accelerators() == ("kvm", "tcg")


def test_without_kvm_the_machine_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert vm._accelerators() == ("tcg",)


def test_a_machine_that_counts_instructions_is_emulated_on_one_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(qemu, "version", lambda: "QEMU 1")
    monkeypatch.setenv(qemu.COUNTING, "1")
    assert vm._accelerators() == ("icount",)
    assert qemu.hardware("icount").cpus == 1
    argv = qemu.command_line(replace(HARDWARE, accelerator="icount"), Path("/i"), Path("/d"), Path("qmp"),
                             Path("/log"), 5000, "secret", resume=False)  # fmt: skip
    assert argv[argv.index("-icount") + 1] == "shift=0,sleep=off"


BOOT = """
import pathlib, sys
from dmvpn_lab.machine import vm
vm.machine_image = lambda _progress: pathlib.Path(sys.argv[1])
vm.ensure(lambda text: print(text, flush=True))
"""


@pytest.mark.program("qemu-img")
def test_a_machine_whose_command_was_killed_while_it_booted_is_found_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    qemu_that(tmp_path, "exec sleep 600")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with subprocess.Popen([sys.executable, "-c", BOOT, str(tmp_path)], stdout=subprocess.PIPE) as command:
        record = paths.machine_paths().running
        while not record.exists() or not record.read_text():
            assert command.poll() is None
        command.kill()
    machine = vm.find()
    assert machine is not None
    assert vm.stop() is True
    assert vm._start_time(machine.pid) is None


HOLD = """
import sys, time
from dmvpn_lab.machine.paths import command_runs
with command_runs():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_machine_that_is_too_busy_to_answer_is_not_ended_under_a_command() -> None:
    machine = subprocess.Popen(["sleep", "60"])
    command = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with machine, command:
        assert command.stdout is not None
        assert command.stdout.readline() == "held\n"
        facts = {
            "pid": machine.pid,
            "started": vm._start_time(machine.pid),
            "port": vm._free_port(),  # nobody answers there
            "accelerator": "tcg",
            "image": image_name(load()),
        }
        paths.machine_paths().running.write_text(json.dumps(facts))
        paths.machine_paths().token.write_text("secret")
        with pytest.raises(HostError, match="does not answer, and commands run in it"):
            vm.ensure(lambda text: None)
        assert machine.poll() is None
        command.kill()
        command.wait()
        assert not paths.commands_run()  # a lock ends with its holder
        assert vm.stop()
        assert vm.find() is None


@pytest.mark.parametrize("wish", ["much", "-1", "0", "1.5"])
def test_an_amount_of_memory_that_is_none_is_told(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(qemu.MEMORY, wish)
    with pytest.raises(UsageError, match=f"^DMVPN_LAB_MACHINE_MIB={wish}: no amount of memory"):
        qemu.hardware("tcg")
