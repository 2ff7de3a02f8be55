"""What this host has, and what to do about each lack.

Light on purpose: the standard library and a few system calls, because every command asks first
whether labs run here or in the machine.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MACHINE_PROGRAMS = {
    "qemu-system-x86_64": ("qemu-system-x86", "runs the machine: this kernel has no GRE or ESP"),
    "qemu-img": ("qemu-utils", "makes the machine's disk"),
    "mke2fs": ("e2fsprogs", "makes the machine's file system"),
}
BUILD_PROGRAMS = {
    "mmdebstrap": ("mmdebstrap", "makes the nodes' root file system from Debian's packages"),
}
TEST_PROGRAMS = {
    "tshark": ("tshark", "tests: it must dissect every packet that is sent"),
    "dnsmasq": ("dnsmasq-base", "tests: it must accept the DHCP servers' configuration"),
    "cpio": ("cpio", "tests: it must unpack the machine's initramfs"),
    "chromium": ("chromium", "tests: it must draw the page of `watch --browser`"),
    "chromedriver": ("chromium-driver", "tests: it does in Chromium what a test says"),
}
NATIVE_PROGRAMS = {
    "nsenter": ("util-linux", "enters a node"),
}

PROBE = r"""
import os, socket, struct, ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x40000000): raise SystemExit("no network namespaces")
def attr(kind, data): return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
kind = attr(1, b"gre\0") + attr(2, attr(2, struct.pack("!H", 0x2000)) + attr(6, bytes([127, 0, 0, 1])))
body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attr(3, b"probe0\0") + attr(18, kind)
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
netlink.send(struct.pack("=IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
if error: raise SystemExit("gre: " + os.strerror(-error))
try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)
except OSError: raise SystemExit("xfrm: not in this kernel")
"""
"""Run in a process of its own, whose network namespace and tunnel vanish with it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that labs need, and whether it is here."""

    name: str
    ok: bool
    detail: str
    remedy: str | None = None
    required: bool = True
    """False: labs run without it, in the machine or with less."""


def facts() -> list[Fact]:
    """Everything that `dmvpn-lab doctor` tells, in the order in which to mend it."""
    native = can_run_labs()
    found = [_root(), _python(), _gre(), _esp(), _cgroup(), _overlay()]
    programs = {**BUILD_PROGRAMS, **(NATIVE_PROGRAMS if native else MACHINE_PROGRAMS)}
    found += [_program(name, package, why) for name, (package, why) in programs.items()]
    if not native:
        found += [_sandbox(), _kvm(), _architecture()]
    return [*found, _room()]


def can_run_labs() -> bool:
    """Whether labs run on this kernel as it is; if not, they run in the machine."""
    return _gre_error() is None and _esp_in_kernel()


def missing_packages(*, tests: bool = False) -> list[tuple[str, str]]:
    """(Debian package, why) of every program that this host lacks and labs need, or tests besides."""
    programs = BUILD_PROGRAMS | (NATIVE_PROGRAMS if can_run_labs() else MACHINE_PROGRAMS)
    programs = TEST_PROGRAMS if tests else programs
    return [(package, why) for name, (package, why) in programs.items() if _which(name) is None]


def _gre_error() -> str | None:
    """None when a GRE tunnel can be made; else why not."""
    if os.geteuid() != 0:
        return None if Path("/sys/module/ip_gre").exists() or _modinfo("ip_gre") else "not in this kernel"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE], capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else done.stderr.strip() or "the probe failed"


def _esp_in_kernel() -> bool:
    return Path("/sys/module/esp4").exists() or _modinfo("esp4")


def _modinfo(name: str) -> bool:
    """Whether the running kernel has a module of that name, built in or loadable."""
    folder = Path("/lib/modules") / os.uname().release
    for index in ("modules.dep", "modules.builtin"):
        try:
            if f"/{name}.ko" in (folder / index).read_text():
                return True
        except OSError:
            continue
    return False


def _root() -> Fact:
    ok = os.geteuid() == 0
    return Fact("root", ok, "yes" if ok else f"uid {os.geteuid()}", None if ok else "run as root (sudo)")


def _python() -> Fact:
    return Fact(
        "Python",
        sys.version_info >= (3, 11),
        platform.python_version(),
        "install Python 3.11 or newer",
    )


def _gre() -> Fact:
    error = _gre_error()
    return Fact("GRE", error is None, error or "yes", "nothing: the machine has it", required=False)


def _esp() -> Fact:
    ok = _esp_in_kernel()
    return Fact(
        "ESP",
        ok,
        "yes" if ok else "not in this kernel",
        "nothing: the machine has it",
        required=False,
    )


def _cgroup() -> Fact:
    ok = any(" cgroup2 " in line for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return Fact("cgroup v2", ok, "mounted" if ok else "not mounted",
                "mount -t cgroup2 none /sys/fs/cgroup", required=can_run_labs())  # fmt: skip


def _overlay() -> Fact:
    ok = "overlay" in Path("/proc/filesystems").read_text() or _modinfo("overlay")
    return Fact("overlayfs", ok, "yes" if ok else "not in this kernel", "load the module: modprobe overlay",
                required=can_run_labs())  # fmt: skip


def _program(name: str, package: str, why: str) -> Fact:
    path = _which(name)
    return Fact(name, path is not None, path or f"missing: {why}", f"apt-get install {package}")


def _sandbox() -> Fact:
    from dmvpn_lab.errors import HostError
    from dmvpn_lab.machine import qemu

    try:
        return Fact("QEMU's sandbox", True, qemu.version())
    except HostError as error:
        return Fact("QEMU's sandbox", False, str(error), error.hint)


def _kvm() -> Fact:
    verdict = "is tried at the first start"
    ok = os.access("/dev/kvm", os.R_OK | os.W_OK)
    if ok and (tried := _kvm_tried()) is not None:
        ok = not tried.endswith("does not work")
        verdict = "works" if ok else "was tried, and boots nothing"
    there = "may not be used" if Path("/dev/kvm").exists() else "is not there"
    return Fact("KVM", ok, f"/dev/kvm {verdict if os.access('/dev/kvm', os.R_OK | os.W_OK) else there}",
                "the machine is emulated: ten to twenty times slower", required=False)  # fmt: skip


def _kvm_tried() -> str | None:
    """What the first start of the machine found."""
    from dmvpn_lab.machine.paths import cache_folder

    try:
        return (cache_folder() / "kvm").read_text(encoding="utf-8")
    except OSError:
        return None


def _architecture() -> Fact:
    ok = platform.machine() == "x86_64"
    return Fact("architecture", ok, platform.machine(), "the machine is made for x86_64 only")


def _room() -> Fact:
    from dmvpn_lab.errors import HostError
    from dmvpn_lab.machine.paths import cache_folder

    remedy = "building needs 6 GB: free room or set DMVPN_LAB_CACHE"
    try:
        folder = cache_folder()
    except HostError as error:
        return Fact("disk space", False, str(error), error.hint)
    free = shutil.disk_usage(folder).free
    return Fact("disk space", free > 6e9, f"{free / 1e9:.0f} GB free in {folder}", remedy)


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


COMMANDS: dict[str, Callable[[], Sequence[str]]] = {
    "missing-packages": lambda: [f"{package}\t{why}" for package, why in missing_packages()],
    "missing-test-packages": lambda: [f"{package}\t{why}" for package, why in missing_packages(tests=True)],
}

if __name__ == "__main__":
    for line in COMMANDS[sys.argv[1]]():
        print(line)
