"""What the programs of a node have printed: its first process and each of its services."""

from __future__ import annotations

from dmvpn_lab.errors import UsageError
from dmvpn_lab.running import RunningLab

FOLDER = "/run/dmvpn-lab/log"
LINES = 500
"""The last lines of each program."""


async def services(lab: RunningLab, node: str) -> list[str]:
    """The programs that have a log in a node."""
    listed = await lab.exec(node, "ls", FOLDER)
    return [name.removesuffix(".log") for name in listed.stdout.split() if name.endswith(".log")]


def path(service: str) -> str:
    """Where a program's log is, in its node."""
    return f"{FOLDER}/{service}.log"


async def text(lab: RunningLab, node: str, service: str | None = None, lines: int = LINES) -> str:
    """The logs of a node, each under a heading; or of one of its programs. Raises UsageError."""
    names = await services(lab, node)
    if service is not None and service not in names:
        raise UsageError(
            f"{node} has no program {service!r}", hint=f"there are: {', '.join(names) or 'none'}"
        )
    if service is not None:
        return await lab.must(node, "tail", "-n", str(lines), path(service))
    first = await lab.backend.console(lab.plan.lab, node)
    words = "".join(f"{line}\n" for line in first.splitlines()[-lines:])
    if names:
        words += await lab.must(node, "tail", "-v", "-n", str(lines), *(path(name) for name in names))
    return words
