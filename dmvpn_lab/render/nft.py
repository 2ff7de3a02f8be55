"""A router's packet filter: nothing of the overlay in clear, and TCP segments that fit."""

from __future__ import annotations

from dmvpn_lab.spec.plan_types import NodePlan, Plan


def nft(plan: Plan, node: NodePlan) -> str:
    """The ruleset of a router; empty for other nodes.

    `underlay`: Linux sends an mGRE's multicast to the inner group as outer destination; the agent
    has already copied it to each peer, so the original must not leave.
    `mss`: TCP connections through a tunnel are told what fits, in both directions.
    """
    if not node.tunnels:
        return ""
    clamps = []
    for tunnel in node.tunnels:
        mss = plan.cloud(tunnel.cloud).tcp_mss
        for side in ("iifname", "oifname"):
            clamps.append(f'    {side} "{tunnel.name}" tcp flags syn tcp option maxseg size set {mss}')
    return "\n".join(
        [
            "table inet dmvpn {",
            "  chain underlay {",
            "    type filter hook output priority filter; policy accept;",
            "    ip protocol gre ip daddr 224.0.0.0/4 counter drop",
            "  }",
            "  chain mss {",
            "    type filter hook forward priority mangle; policy accept;",
            *clamps,
            "  }",
            "}",
            "",
        ]
    )
