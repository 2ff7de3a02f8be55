"""Gives up the capabilities that a node does not need, where its container was given more (capabilities(7)).

__user_cap_header_struct   version 4, PID 4 (0: this process)
__user_cap_data_struct     effective 4, permitted 4, inheritable 4; twice: capabilities 0 to 31, 32 to 63
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
VERSION_3 = 0x20080522
LAST = Path("/proc/sys/kernel/cap_last_cap")
STATUS = Path("/proc/self/status")


def keep(numbers: Iterable[int]) -> None:
    """Give up all others: this process, what it forks, and every program that these start.

    Where the container may not take rights from its programs (no SETPCAP) those that it has are left to
    them. Raises OSError when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = sum(1 << number for number in numbers)
    for number in range(int(LAST.read_text()) + 1):
        if wanted >> number & 1 or libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) != 1:
            continue
        if libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            if ctypes.get_errno() == errno.EPERM:
                break
            raise _error()
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        raise _error()
    for place in range(6):
        data[place] &= wanted >> (32 * (place // 3)) & 0xFFFFFFFF
    if libc.capset(header, data) != 0:
        raise _error()


def lacking(wanted: Mapping[str, int]) -> list[str]:
    """The names of those that this process may not use."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("CapEff:"))
    effective = int(line.split()[1], 16)
    return [name for name, number in wanted.items() if not effective >> number & 1]


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"capabilities: {os.strerror(code)}")
