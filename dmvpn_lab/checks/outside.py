"""The NBMA address at which the world sees a router: its own, or that of the NAT router before it."""

from __future__ import annotations

import json

from dmvpn_lab.running import RunningLab

NBMA = "eth1"
"""A NAT router's interface towards the ISP."""


async def outside(lab: RunningLab, router: str, tunnel: str) -> str | None:
    """As the NAT router itself has it now, not as anybody says; None while there is no address."""
    nat, node = lab.plan.behind(router), lab.plan.node(router)
    if nat is None and node.external is not None:  # it has no agent to ask
        address = node.nbma_interface().address
        return None if address is None else str(address.ip)
    if nat is None:
        status = await lab.query(router, "status")
        present: str | None = next(t["nbma"] for t in status["tunnels"] if t["interface"] == tunnel)
        return present
    (link,) = json.loads(await lab.must(nat, "ip", "-json", "-4", "address", "show", "dev", NBMA))
    return next((str(each["local"]) for each in link["addr_info"]), None)
