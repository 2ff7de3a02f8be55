"""`inject expire`: the holding times of all that a router has in its NHRP cache end now."""

from __future__ import annotations

from dmvpn_lab.faults.moment import Way, Where
from dmvpn_lab.running import RunningLab


class Expire:
    """As if nobody had renewed in time."""

    name = "expire"
    summary = "End the holding times in a router's NHRP cache now, and measure how long traffic stands still."
    ways = (Way("now", "every dynamic entry runs out; who is registered comes back when it renews"),)
    recovered_by: str | None = "peer-registered"
    recovered_at: Where = "hub"
    needs_ipsec = False
    hubs_only = False

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Tell the agent."""
        lab.router(node)
        entries = [e for e in await lab.query(node, "nhrp") if e["type"] == "dynamic"]
        await lab.query(node, "expire")
        return f"{node}: {len(entries)} entries have run out"


FAULT = Expire()
