"""`inject clear-nhrp`: what a router has resolved is forgotten, as by `clear ip nhrp`."""

from __future__ import annotations

from dmvpn_lab.faults.moment import Way, Where
from dmvpn_lab.running import RunningLab


class ClearNhrp:
    """Registrations stay; resolved neighbours and shortcuts go. Nobody may notice."""

    name = "clear-nhrp"
    summary = "Forget what a router has resolved (clear ip nhrp), and count what was lost."
    ways = (Way("resolved", "resolved neighbours and shortcuts; registrations stay"),)
    recovered_by: str | None = None
    recovered_at: Where = "node"
    needs_ipsec = False
    hubs_only = False

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Tell the agent."""
        lab.router(node)
        entries = [e for e in await lab.query(node, "nhrp") if {"resolved", "shortcut"} & {*e["flags"]}]
        await lab.query(node, "clear")
        return f"{node}: {len(entries)} entries cleared"


FAULT = ClearNhrp()
