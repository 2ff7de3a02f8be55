"""QEMU: its command line, and the few words of QMP that the machine needs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmvpn_lab.errors import HostError, UsageError

QEMU = "qemu-system-x86_64"
SNAPSHOT = "warm"
GUEST = "10.0.2.15:4545"
MEMORY = "DMVPN_LAB_MACHINE_MIB"
COUNTING = "DMVPN_LAB_MACHINE_COUNTING"
"""Set by the bench: the machine is an `icount` one."""
ACCELERATORS = {
    "kvm": ("-accel", "kvm"),
    "tcg": ("-accel", "tcg,thread=multi,tb-size=512"),
    "icount": ("-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=off"),
}
"""Each with its options. An instruction of `icount` is a nanosecond; idle time is skipped."""
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny"
"""What QEMU itself may not do once it runs: start programs, gain rights."""
INSTALL = "apt-get install qemu-system-x86 qemu-utils e2fsprogs"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a saved state must be resumed with, or not at all."""

    accelerator: str
    """`kvm`, `tcg`, or `icount`: one emulated processor whose clock counts its instructions."""
    cpus: int
    memory_mib: int
    version: str
    """QEMU's own."""

    @property
    def cpu_model(self) -> str:
        """The host's under KVM; a plain one under emulation, which is the fastest to emulate."""
        return "host" if self.accelerator == "kvm" else "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand"

    def key(self) -> str:
        """Text that names everything a saved state depends on."""
        return f"{self.version}/{self.accelerator}/{self.cpu_model}/{self.cpus}/{self.memory_mib}"


def hardware(accelerator: str) -> Hardware:
    """What to give the machine on this host: two processors, and 4 GiB or half of the memory.

    DMVPN_LAB_MACHINE_MIB names another amount of memory. Raises UsageError when that is none.
    """
    total_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    return Hardware(
        accelerator=accelerator,
        cpus=1 if accelerator == "icount" else max(1, min(2, os.cpu_count() or 1)),
        memory_mib=_wished_mib() or min(4096, total_mib // 2),
        version=version(),
    )


def _wished_mib() -> int | None:
    wish = os.environ.get(MEMORY, "")
    if wish and not (wish.isascii() and wish.isdigit() and int(wish) > 0):
        raise UsageError(f"{MEMORY}={wish}: no amount of memory", hint="a number of MiB, such as 2048")
    return int(wish) if wish else None


def version() -> str:
    """QEMU's version line. Raises HostError when it is not installed, or was built without its sandbox.

    QEMU reads its words in order: one that knows no sandbox ends before it tells its version.
    """
    argv = [QEMU, "-sandbox", SANDBOX, "--version"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise HostError(f"{QEMU} is not installed", hint=INSTALL) from None
    if done.returncode != 0:
        raise HostError(
            f"{QEMU} cannot be kept from starting programs: {done.stderr.strip()}",
            hint=f"a QEMU that was built with seccomp, such as Debian's: {INSTALL}",
        )
    return done.stdout.splitlines()[0]


def command_line(
    hw: Hardware, image: Path, disk: Path, monitor: Path, console: Path,
    port: int, token: str, *, resume: bool,
) -> list[str]:  # fmt: skip
    """The argv of one machine. `port` is the host's TCP port that leads to the resident."""
    argv = [
        QEMU, "-name", "dmvpn-lab", "-machine", "q35", *ACCELERATORS[hw.accelerator],
        "-cpu", hw.cpu_model, "-smp", str(hw.cpus), "-m", str(hw.memory_mib),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd"),
        "-append", f"console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 dmvpn.token={token}",
        "-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe",
        "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-{GUEST}",
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-device", "virtio-rng-pci",
        "-sandbox", SANDBOX,
        "-qmp", f"unix:{monitor},server=on,wait=off",
        "-serial", f"file:{console}",
    ]  # fmt: skip
    return [*argv, "-loadvm", SNAPSHOT] if resume else argv


def make_disk(image: Path, disk: Path) -> None:
    """A fresh writable layer over the image's disk."""
    disk.unlink(missing_ok=True)
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            str(image / "disk.raw"),
            str(disk),
        ],
        check=True,
    )


class Monitor:
    """QEMU's QMP socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()  # the greeting
        self._execute("qmp_capabilities")

    def save(self) -> None:
        """Save the state of processors, memory and disk under SNAPSHOT. Raises HostError."""
        said = self._execute("human-monitor-command", {"command-line": f"savevm {SNAPSHOT}"})
        if said:
            raise HostError(f"QEMU could not save the machine's state: {said.strip()}")

    def quit(self) -> None:
        """End the machine at once."""
        self._execute("quit")

    def close(self) -> None:
        """Let go of the socket."""
        self._lines.close()
        self._socket.close()

    def _execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = self._lines.readline()
            if not line:
                return None
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise HostError(f"QEMU refused {command}: {answer['error'].get('desc')}")
