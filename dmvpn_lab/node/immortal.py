"""Objects that live as long as the process: nothing counts their references, so their pages stay shared.

A forked node shares the memory of the warm parent until it writes there, and CPython writes wherever
it looks: it counts references. PEP 683 has a count that means "never freed, do not count". What the
parent has imported lives until the end anyway, so it gets that count, and hundreds of nodes share it.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_NEVER_FREED = 0xFFFFFFFF
"""`_Py_IMMORTAL_REFCNT` of CPython 3.12 and 3.13 on 64 bit (Include/object.h)."""
_KNOWN = ((3, 12), (3, 13))


def keep_all() -> int:
    """Make every object that exists immortal, where this Python knows how. Returns how many were made so."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in _KNOWN or sys.maxsize < 1 << 32:
        return 0
    count = ctypes.c_uint32.from_address
    seen = set()
    found = gc.get_objects()
    while found:
        one = found.pop()
        address = id(one)
        if address not in seen and count(address).value < 1 << 31:
            seen.add(address)
            found += gc.get_referents(one)
    for address in seen:
        count(address).value = _NEVER_FREED
    return len(seen)
