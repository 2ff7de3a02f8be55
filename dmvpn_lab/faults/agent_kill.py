"""`inject agent-kill`: a router's agent ends, and the node's first process starts it again."""

from __future__ import annotations

from dmvpn_lab.faults.agent import pid_of
from dmvpn_lab.faults.moment import Way, Where
from dmvpn_lab.running import RunningLab


class AgentKill:
    """Ends the agent by a signal; the next one takes over what it knew."""

    name = "agent-kill"
    summary = "End a router's agent, which starts again, and measure how long traffic stands still."
    ways = (
        Way("kill", "at once; the next one reads the state file"),
        Way("stop", "in order"),
        Way("leave", "in order, after it has taken its registrations back, as a router that is shut down"),
    )
    recovered_by: str | None = "agent-ready"
    recovered_at: Where = "node"
    needs_ipsec = False
    hubs_only = False

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Send the signal."""
        lab.router(node)
        pid = await pid_of(lab, node)
        if way == "leave":
            await lab.query(node, "leave")
        await lab.must(node, "kill", "-KILL" if way == "kill" else "-TERM", pid)
        return f"{node}: agent (process {pid}) {'killed' if way == 'kill' else 'stopped'}"


FAULT = AgentKill()
