"""`inject sa-delete`: a router loses its ESP SAs, with or without charon's knowledge."""

from __future__ import annotations

import re

from dmvpn_lab.errors import LabError
from dmvpn_lab.faults.moment import Way, Where, protected
from dmvpn_lab.running import RunningLab

CHILD = re.compile(r"^  \S+: #(?P<number>\d+), .*INSTALLED", re.MULTILINE)
"""A line of `swanctl --list-sas`."""


class SaDelete:
    """Ends SAs by charon, or takes states from the kernel behind charon's back."""

    name = "sa-delete"
    summary = "Lose a router's IPsec SAs, and measure how long traffic stands still."
    ways = (
        Way("terminate", "charon ends them and tells the peers"),
        Way("state", "the inbound states vanish from the kernel; charon is told nothing"),
        Way("flush", "all states vanish from the kernel; charon is told nothing"),
    )
    recovered_by: str | None = "ipsec-up"
    recovered_at: Where = "spoke"
    needs_ipsec = True
    hubs_only = False

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Take the SAs away."""
        protected(lab, node)
        if way == "terminate":
            numbers = CHILD.findall(await lab.must(node, "swanctl", "--list-sas"))
            for number in numbers:
                await lab.must(node, "swanctl", "--terminate", "--child-id", number, "--timeout", "5")
            return f"{node}: {len(numbers)} SA pairs terminated"
        if way == "flush":
            await lab.must(node, "ip", "xfrm", "state", "flush")
            return f"{node}: all ESP states flushed"
        entries = await lab.query(node, "ipsec")
        if not entries:
            raise LabError(f"{node} has no SA to lose", hint=f"dmvpn-lab show {node} ipsec")
        for entry in entries:
            await lab.must(node, "ip", "xfrm", "state", "delete", "src", entry["nbma"], "dst", entry["local"],
                           "proto", "esp", "spi", f"0x{entry['spi_in']}")  # fmt: skip
        return f"{node}: {len(entries)} inbound ESP states deleted"


FAULT = SaDelete()
