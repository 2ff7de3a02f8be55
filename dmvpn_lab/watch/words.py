"""Points in time, remaining times and events in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

HEAD = ("v", "event", "at", "node")
"""What every event has, besides its facts."""


def clock(at: float) -> str:
    """HH:MM:SS.mmm of a wall clock."""
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"


def left(expires_at: float | None, now: float) -> str:
    """HH:MM:SS until then, as routers print it; `never` for none."""
    if expires_at is None:
        return "never"
    seconds = max(0, int(expires_at - now))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def facts(event: Mapping[str, Any]) -> str:
    """What an event says besides its name, such as `interface=tunnel0 nbma=172.16.1.1`."""
    return " ".join(f"{name}={value}" for name, value in event.items() if name not in HEAD)
