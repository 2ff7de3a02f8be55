"""Memory of the agents of a running lab, from smaps_rollup (proc_pid_smaps_rollup(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure, say
from tests.live.labs import Lab

GROUP = "memory"
PSS_AT_MOST_MB = 5.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MB (10^6 octets)."""

    rss_mb: float
    """Resident: all that it can touch without a fault."""
    pss_mb: float
    """Proportional: what it shares is divided by those who share it."""


def measure(lab: Lab) -> list[Figure]:
    """The agent of each router; the node's first process beside it."""
    say("memory")
    figures = []
    for router in lab.running.plan.routers():
        pid = first_process(lab, router.name)
        for who, process in (("agent", agent_of(pid)), ("first process", pid)):
            memory = memory_of(process)
            at_most = PSS_AT_MOST_MB if who == "agent" else None
            figures.append(Figure(GROUP, f"{router.name}: {who}, Pss", memory.pss_mb, "MB", at_most))
            figures.append(Figure(GROUP, f"{router.name}: {who}, resident", memory.rss_mb, "MB"))
    return figures


def memory_of(pid: int) -> Memory:
    """Of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rss, pss = (int(re.search(rf"^{name}: +(\d+) kB", text, re.MULTILINE)[1]) * 1024 / 1e6  # type: ignore[index]
                for name in ("Rss", "Pss"))  # fmt: skip
    return Memory(rss, pss)


def first_process(lab: Lab, node: str) -> int:
    """The PID of a node's first process."""
    argv = lab.running.backend.enter_argv(lab.name, node, ["true"])
    return int(argv[argv.index("-t") + 1])


def agent_of(pid: int) -> int:
    """The agent: the one Python among the children of a node's first process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (agent,) = [child for child in children if Path(f"/proc/{child}/comm").read_text().startswith("python")]
    return int(agent)
