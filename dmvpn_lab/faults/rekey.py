"""`inject rekey`: a router's SAs get new keys under traffic. Nobody may notice."""

from __future__ import annotations

import re

from dmvpn_lab.faults.moment import Way, Where, protected
from dmvpn_lab.faults.sa_delete import CHILD
from dmvpn_lab.running import RunningLab

IKE = re.compile(r"^\S+: #(?P<number>\d+), ESTABLISHED", re.MULTILINE)


class Rekey:
    """Asks charon for new keys before their time."""

    name = "rekey"
    summary = "Give a router's IPsec SAs new keys under traffic, and count what was lost."
    ways = (Way("child", "of the ESP SAs"), Way("both", "of the IKE SAs, then of the ESP SAs"))
    recovered_by: str | None = "ipsec-rekeyed"
    recovered_at: Where = "spoke"
    needs_ipsec = True
    hubs_only = False

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Ask for new keys."""
        protected(lab, node)
        listed = await lab.must(node, "swanctl", "--list-sas")
        ikes = IKE.findall(listed) if way == "both" else []
        for number in ikes:
            await lab.must(node, "swanctl", "--rekey", "--ike-id", number)
        children = CHILD.findall(listed)
        for number in children:
            await lab.must(node, "swanctl", "--rekey", "--child-id", number)
        return f"{node}: new keys asked for {len(children)} ESP and {len(ikes)} IKE SAs"


FAULT = Rekey()
