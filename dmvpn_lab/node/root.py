"""A node's own view of the file system: an overlay over the common root, and fresh /proc, /run."""

from __future__ import annotations

import os
from pathlib import Path

from dmvpn_lab.linux.namespaces import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
HIDDEN = MS_NOSUID | MS_NODEV | MS_NOEXEC


def enter(lower: str, folder: Path) -> None:
    """Make `folder`/root the root of this process. Its mount and PID namespaces are its own.

    What the node writes goes to `folder`/upper, where the backend has put the node's files.
    Raises OSError.
    """
    root, upper, work = folder / "root", folder / "upper", folder / "work"
    for each in (root, upper, work):
        each.mkdir(exist_ok=True)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("overlay", str(root), "overlay", options=f"lowerdir={lower},upperdir={upper},workdir={work}")
    mount("proc", f"{root}/proc", "proc", HIDDEN)
    mount("sysfs", f"{root}/sys", "sysfs", HIDDEN)
    mount("tmpfs", f"{root}/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount("tmpfs", f"{root}/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    _devices(f"{root}/dev")
    os.chroot(root)
    os.chdir("/")


def _devices(place: str) -> None:
    mount("tmpfs", place, "tmpfs", MS_NOSUID, "mode=755")
    for name in DEVICES:
        device = os.stat(f"/dev/{name}")
        os.mknod(f"{place}/{name}", device.st_mode, device.st_rdev)
    os.mkdir(f"{place}/pts")
    mount("devpts", f"{place}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.symlink("pts/ptmx", f"{place}/ptmx")
    os.symlink("/proc/self/fd", f"{place}/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{place}/{name}")
