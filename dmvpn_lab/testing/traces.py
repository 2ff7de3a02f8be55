"""What a report of a failed test leaves out of its traceback.

An error of ours, and a check that failed, say in their words what there is to say: the report ends at
the line of the test that met it. Anything else is a defect, and shown whole.
"""

from __future__ import annotations

from typing import Any

from dmvpn_lab.errors import DmvpnLabError


def told_in_words(excinfo: Any) -> bool:
    """A module's `__tracebackhide__` (pytest): whether its frames are left out for this ExceptionInfo."""
    return excinfo is not None and isinstance(excinfo.value, (DmvpnLabError, AssertionError))
