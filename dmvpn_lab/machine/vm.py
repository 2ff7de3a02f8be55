"""Starts, resumes, finds and stops the machine."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dmvpn_lab.errors import HostError, UsageError
from dmvpn_lab.machine import qemu
from dmvpn_lab.machine.build import image_name, machine_image
from dmvpn_lab.machine.client import labs_in, ping
from dmvpn_lab.machine.paths import MachinePaths, cache_folder, commands_run, locked, machine_paths
from dmvpn_lab.machine.recipe import load as load_recipe

Progress = Callable[[str], None]

KVM_DEADLINE_S = 20.0
BOOT_DEADLINE_S = 180.0
RESUME_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """A machine that answers."""

    pid: int
    started: int
    """Start time of the process in clock ticks since boot: a PID alone can be another's."""
    port: int
    accelerator: str
    image: str
    """The folder name of the image that it was started from: it holds the recipe's digest."""
    token: str

    @property
    def current(self) -> bool:
        """Whether it was made from the present recipe."""
        return self.image == image_name(load_recipe())


def find() -> Running | None:
    """The machine of this user if its process lives."""
    paths = machine_paths()
    try:
        facts = {"image": "", **json.loads(paths.running.read_text())}  # earlier versions had none
        running = Running(**facts, token=paths.token.read_text())
    except (OSError, ValueError, TypeError):
        return None
    return running if _start_time(running.pid) == running.started else None


def ensure(progress: Progress) -> Running:
    """The running machine; built, booted or resumed if need be. Raises HostError."""
    running = find()
    if running is not None and running.current and ping(running.port, running.token, 20.0):
        return running
    with locked(machine_paths().folder.name):
        running = find()
        if running is not None:
            if running.current and ping(running.port, running.token, 20.0):
                return running
            _require_idle(running)
            progress(
                "the machine is started anew: "
                + ("it does not answer" if running.current else "its recipe has changed")
            )
            _end(running)
        qemu.version()  # a QEMU that will not do is told before the image is made
        image = machine_image(progress)
        for accelerator in _accelerators():
            started = _start(accelerator, image, progress)
            if started is not None:
                return started
    said = (_text(machine_paths().log) or "").strip().splitlines()
    raise HostError(
        f"the machine did not start{f': {said[-1]}' if said else ''}",
        hint=f"its console is in {machine_paths().console}; 'dmvpn-lab machine rm' makes a new one",
    )


def _require_idle(running: Running) -> None:
    """Raises HostError when commands run in a machine that is too busy to answer, UsageError when one of
    another version has labs: they would end with it.
    """
    if running.current and commands_run():
        raise HostError(
            "the machine does not answer, and commands run in it",
            hint="wait for them, or end them and it with 'dmvpn-lab machine stop'",
        )
    labs = [] if running.current else labs_in(running.port, running.token)
    if labs:
        raise UsageError(
            f"another version of dmvpn-lab started the machine, and labs run in it: {', '.join(labs)}",
            hint="use that version, or end them with 'dmvpn-lab machine stop'",
        )


def stop() -> bool:
    """End the machine; its saved state stays. False when it was not running."""
    with locked(machine_paths().folder.name):
        running = find()
        if running is None:
            return False
        _end(running)
        machine_paths().running.unlink(missing_ok=True)
        return True


def remove() -> None:
    """End the machine and delete everything that was built for it."""
    stop()
    shutil.rmtree(machine_paths().folder, ignore_errors=True)
    for folder in cache_folder().glob("image-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _start(accelerator: str, image: Path, progress: Progress) -> Running | None:
    """Resume, or boot and save; None when this accelerator does not work here."""
    paths, hw = machine_paths(), qemu.hardware(accelerator)
    key = f"{image.name}/{hw.key()}"
    if paths.disk.is_file() and paths.token.is_file() and _text(paths.key) == key:
        progress("resuming the machine")
        running = _launch(hw, image, paths, paths.token.read_text(), RESUME_DEADLINE_S, resume=True)
        if running is not None:
            return running
    progress("booting the machine" + (" (emulated)" if accelerator == "tcg" else ""))
    paths.key.unlink(missing_ok=True)
    qemu.make_disk(image, paths.disk)
    token = secrets.token_hex(16)
    _write_private(paths.token, token)
    deadline_s = KVM_DEADLINE_S if accelerator == "kvm" else BOOT_DEADLINE_S
    running = _launch(hw, image, paths, token, deadline_s, resume=False)
    if accelerator == "kvm":
        _remember_kvm(running is not None)
        if running is None:
            progress("KVM did not start it: it is emulated, here and from now on")
    if running is not None:
        progress("saving its warm state")
        _save(paths)
        paths.key.write_text(key)
    return running


def _launch(
    hw: qemu.Hardware,
    image: Path,
    paths: MachinePaths,
    token: str,
    deadline_s: float,
    *,
    resume: bool,
) -> Running | None:
    """Start QEMU and wait until the resident answers; None (and no process) when it does not."""
    port = _free_port()
    # A relative path: a UNIX socket's name has 108 octets at most, a cache folder may have more.
    argv = qemu.command_line(
        hw, image, paths.disk, Path(paths.monitor.name), paths.console, port, token, resume=resume
    )
    paths.monitor.unlink(missing_ok=True)
    with open(paths.log, "wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=paths.folder, start_new_session=True,
        )  # fmt: skip
    running = None
    try:
        made = Running(process.pid, _start_time(process.pid) or 0, port, hw.accelerator, image.name, token)
        facts = {k: v for k, v in asdict(made).items() if k != "token"}
        paths.running.write_text(json.dumps(facts))  # already now: if we are killed, others find it
        running = made if _answers(process, port, token, deadline_s) else None
        return running
    finally:
        if running is None:
            process.kill()
            process.wait()
            paths.running.unlink(missing_ok=True)


def _answers(process: subprocess.Popen[bytes], port: int, token: str, deadline_s: float) -> bool:
    """Wait for the resident. It listens as soon as it can serve, and until then the machine refuses
    the connection: so asking is the event.
    """
    end = time.monotonic() + deadline_s
    while process.poll() is None and time.monotonic() < end:
        if ping(port, token, min(5.0, deadline_s)):
            return True
        time.sleep(0.1)
    return False


def _save(paths: MachinePaths) -> None:
    here = os.getcwd()
    os.chdir(paths.folder)
    try:
        monitor = qemu.Monitor(Path(paths.monitor.name))
        try:
            monitor.save()
        finally:
            monitor.close()
    finally:
        os.chdir(here)


def _end(running: Running) -> None:
    """Kill QEMU and wait until it is gone. Nothing in it is worth an orderly end."""
    try:
        handle = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return
    try:
        if _start_time(running.pid) == running.started:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(running.pid, 0)
            end = time.monotonic() + 10
            while _start_time(running.pid) == running.started and time.monotonic() < end:
                time.sleep(0.02)
    finally:
        os.close(handle)


def _accelerators() -> tuple[str, ...]:
    """What to try, best first. KVM is tried once: on some hosts it is there and hangs."""
    if os.environ.get(qemu.COUNTING):
        return ("icount",)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or _text(_kvm_verdict()) == _kvm_key(False):
        return ("tcg",)
    return ("kvm", "tcg")


def _kvm_verdict() -> Path:
    return cache_folder() / "kvm"


def _kvm_key(works: bool) -> str:
    return f"{qemu.version()} {os.uname().release} {'works' if works else 'does not work'}"


def _remember_kvm(works: bool) -> None:
    _kvm_verdict().write_text(_kvm_key(works))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None for a process that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
