"""`inject ike-restart`: charon ends, in one way or another, and the node's first process starts it again."""

from __future__ import annotations

from dmvpn_lab.faults.moment import Way, Where, protected
from dmvpn_lab.running import RunningLab

PID_FILE = "/run/charon.pid"


class IkeRestart:
    """Ends charon by a signal."""

    name = "ike-restart"
    summary = "End a router's IKE daemon, which starts again, and measure how long traffic stands still."
    ways = (
        Way("kill", "at once; its states stay in the kernel and go on carrying traffic"),
        Way("kill-flush", "at once, and its states are gone as after a reboot"),
        Way("stop", "in order: it ends its SAs and tells the peers"),
    )
    recovered_by: str | None = "ipsec-up"
    recovered_at: Where = "spoke"
    needs_ipsec = True
    hubs_only = False

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Send the signal."""
        protected(lab, node)
        pid = (await lab.must(node, "cat", PID_FILE)).strip()
        await lab.must(node, "kill", "-TERM" if way == "stop" else "-KILL", pid)
        if way == "kill-flush":
            await lab.must(node, "ip", "xfrm", "state", "flush")
        return f"{node}: charon (process {pid}) {'stopped' if way == 'stop' else 'killed'}"


FAULT = IkeRestart()
