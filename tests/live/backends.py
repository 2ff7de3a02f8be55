"""Which backends live tests run over on this host."""

from __future__ import annotations

import shutil

from dmvpn_lab.backends import NAMES
from dmvpn_lab.backends.containerlab import PROGRAM

HERE = tuple(name for name in NAMES if name != "containerlab" or shutil.which(PROGRAM))
"""containerlab's own program is not part of this project; its backend is tried where it is installed."""
CONTAINERS = tuple(name for name in HERE if name != "netns")


def left_out() -> str | None:
    """A line for pytest's header: what is not tried here."""
    return None if shutil.which(PROGRAM) else f"deselected: tests over {PROGRAM}, which is not here"
