"""`inject hub-restart`: a hub begins anew and knows nobody. Spokes come back when they renew."""

from __future__ import annotations

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults.agent import forget_everything
from dmvpn_lab.faults.moment import Way, Where
from dmvpn_lab.running import RunningLab


class HubRestart:
    """Takes from a hub its agent, its tunnels and its state file."""

    name = "hub-restart"
    summary = "Restart a hub that remembers nothing, and measure how long traffic stands still."
    ways = (Way("cold", "its tunnels, its NHRP cache and its state file are gone, as after a reboot"),)
    recovered_by: str | None = "peer-registered"
    recovered_at: Where = "node"
    needs_ipsec = False
    hubs_only = True

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Do it."""
        if all(tunnel.role != "hub" for tunnel in lab.router(node).tunnels):
            raise UsageError(f"{node} is no hub", hint="agent-kill ends a spoke's agent")
        pid = await forget_everything(lab, node)
        return f"{node}: agent (process {pid}) and tunnels are gone"


FAULT = HubRestart()
