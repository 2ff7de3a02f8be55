"""A router's packet filter: nothing of the overlay in clear, and TCP segments that fit."""

from __future__ import annotations

from collections.abc import Sequence

from dmvpn_lab.render import ipsec
from dmvpn_lab.spec.plan_types import NodePlan, Plan

NFLOG_GROUP = 0x2001
"""Where the agent of a phase 3 hub listens."""
OUTSIDE = "eth1"
"""A NAT router's interface towards the ISP."""
IPV6_MORE = 20
"""Octets by which the header of IPv6 is larger."""
PROTECTION = (
    "  chain protection-out {",
    "    type filter hook output priority filter; policy accept;",
    "    meta l4proto gre rt ipsec missing counter drop",
    "  }",
    "  chain protection-in {",
    "    type filter hook input priority filter; policy accept;",
    "    meta l4proto gre meta ipsec missing counter drop",
    "  }",
)
"""Loaded before charon and the tunnels, and gone only with the node."""
INDICATED_6 = (
    "  set indicated6 {",
    "    type ipv6_addr . ipv6_addr; flags dynamic,timeout; size 65535; timeout 1m;",
    "  }",
)
NAT = (
    "table ip nat {",
    "  chain postrouting {",
    "    type nat hook postrouting priority srcnat; policy accept;",
    f'    oifname "{OUTSIDE}" masquerade',
    "  }",
    "  chain forward {",
    "    type filter hook forward priority filter; policy accept;",
    f'    iifname "{OUTSIDE}" ct state != {{ established, related }} counter drop',
    "  }",
    "  chain input {",
    "    type filter hook input priority filter; policy accept;",
    f'    iifname "{OUTSIDE}" meta l4proto != icmp ct state != {{ established, related }} counter drop',
    "  }",
    "}",
    "",
)
"""Of a NAT router: everybody inside has its address, and nobody outside can begin.

A packet from outside that it took for its own would be a conversation, and in the way of the one that
somebody inside begins with the same peer: GRE has no ports to keep them apart.
"""


def nft(plan: Plan, node: NodePlan) -> str:
    """The ruleset of a router, or of a NAT router; empty for other nodes.

    `underlay`: Linux sends an mGRE's multicast to the inner group as outer destination; the agent
    has already copied it to each peer, so the original must not leave.
    `protection-out`, `protection-in`: GRE of a protected router that no SA covers is dropped.
    `mss`: TCP connections through a tunnel are told what fits, in both directions.
    """
    if node.kind == "nat":
        return "\n".join(NAT)
    if not node.tunnels:
        return ""
    clamps = []
    for tunnel in node.tunnels:
        mss = plan.cloud(tunnel.cloud).tcp_mss
        for side in ("iifname", "oifname"):
            for family, size in (("ipv4", mss), ("ipv6", mss - IPV6_MORE)):
                if family == "ipv4" or tunnel.ipv6 is not None:
                    only = "" if tunnel.ipv6 is None else f"meta nfproto {family} "
                    clamps.append(
                        f'    {side} "{tunnel.name}" {only}tcp flags syn tcp option maxseg size set {size}'
                    )
    return "\n".join(
        [
            "table inet dmvpn {",
            *redirect(_shorter(plan, node), ipv6=any(tunnel.ipv6 is not None for tunnel in node.tunnels)),
            "  chain underlay {",
            "    type filter hook output priority filter; policy accept;",
            "    ip protocol gre ip daddr 224.0.0.0/4 counter drop",
            "  }",
            *(PROTECTION if ipsec.protection(plan, node) is not None else ()),
            "  chain mss {",
            "    type filter hook forward priority mangle; policy accept;",
            *clamps,
            "  }",
            "}",
            "",
        ]
    )


def _shorter(plan: Plan, node: NodePlan) -> list[tuple[str, str]]:
    """Tunnels of a phase 3 hub from one to another of which spokes could send directly."""
    hubs = [each for each in node.tunnels if each.role == "hub" and plan.cloud(each.cloud).phase == 3]
    apart = {each.name: plan.cloud(each.cloud).domain() for each in hubs}
    return [(a.name, b.name) for a in hubs for b in hubs if apart[a.name] == apart[b.name]]


def redirect(ways: Sequence[tuple[str, str]], *, ipv6: bool = False) -> list[str]:
    """Of a phase 3 hub: tell the agent what goes from one tunnel to another, or the same, now and then."""
    if not ways:
        return []
    lines = [
        "  set indicated {",
        "    type ipv4_addr . ipv4_addr; flags dynamic,timeout; size 65535; timeout 1m;",
        "  }",
        *(INDICATED_6 if ipv6 else ()),
        "  chain shorter_way {",
        "    type filter hook forward priority filter; policy accept;",
    ]
    for came, leaves in ways:
        for family, known in (("ip", "indicated"), ("ip6", "indicated6")):
            if family == "ip" or ipv6:
                limit = f"{{ {family} saddr . {family} daddr limit rate 6/minute burst 1 packets }}"
                lines.append(
                    f'    iifname "{came}" oifname "{leaves}" update @{known} {limit} '
                    f"log group {NFLOG_GROUP} snaplen 96 queue-threshold 1"
                )
    return [*lines, "  }"]
