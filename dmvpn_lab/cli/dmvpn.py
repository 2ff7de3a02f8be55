"""`show NODE dmvpn [detail]` as IOS prints it, and the structure behind it, which is also the JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypedDict

QUERIES = ("status", "nhrp", "nhs")
"""What the agent is asked."""
ATTRIBUTES = {"static": "S", "dynamic": "D", "nat": "N", "shortcut": "T1"}
LEGEND = """\
Legend: Attrb --> S - Static, D - Dynamic, N - NATed, T1 - Route Installed
        # Ent --> Number of NHRP entries with same NBMA peer
        NHS Status: E --> Expecting Replies, R --> Responding, W --> Waiting
        UpDn Time --> Up or Down Time for a Tunnel
=========================================================================="""
HEAD = """\
# Ent  Peer NBMA Addr Peer Tunnel Add State  UpDn Tm Attrb
----- --------------- --------------- ----- -------- -----"""
HEAD_DETAIL = """\
# Ent  Peer NBMA Addr Peer Tunnel Add State  UpDn Tm Attrb    Target Network
----- --------------- --------------- ----- -------- ----- -----------------"""


class Peer(TypedDict):
    """One NHRP entry as `show dmvpn` has it."""

    entries: int
    """How many entries have this NBMA address; 0 for the second one and those after it."""
    nbma: str
    tunnel_address: str
    state: str
    """`UP`; `NHRP`: registration is not answered; `IKE`: there is no SA."""
    up_down_s: float
    attributes: str
    target: str


class Server(TypedDict):
    """One next hop server."""

    address: str
    status: str
    """`RE`, `E` or `W`."""
    priority: int


class Dmvpn(TypedDict):
    """One tunnel."""

    interface: str
    up: bool
    address: str
    source: str | None
    multipoint: bool
    type: str
    """`Hub` or `Spoke`."""
    servers: list[Server]
    peers: list[Peer]


def dmvpn(
    status: dict[str, Any], entries: list[dict[str, Any]], servers: list[dict[str, Any]]
) -> list[Dmvpn]:
    """Every tunnel of a router, from the answers to QUERIES."""
    found = []
    for tunnel in status["tunnels"]:
        name = tunnel["interface"]
        ours = [each for each in servers if each["interface"] == name]
        states = {each["protocol"]: each for each in ours}
        found.append(
            Dmvpn(
                interface=name,
                up=tunnel["up"],
                address=tunnel["address"].split("/")[0],
                source=tunnel["nbma"],
                multipoint=tunnel["mode"] == "multipoint",
                type="Spoke" if ours else "Hub",
                servers=[Server(address=each["protocol"], status=nhs_status(each), priority=each["priority"])
                         for each in ours],
                peers=_peers([each for each in entries if each["interface"] == name], states),
            )
        )  # fmt: skip
    return found


def nhs_status(server: dict[str, Any]) -> str:
    """IOS's letters: E expecting replies, R responding, W waiting."""
    return {"registered": "RE", "waiting": "W"}.get(server["state"], "E")


def _peers(entries: list[dict[str, Any]], servers: dict[str, dict[str, Any]]) -> list[Peer]:
    """Those of IPv4 first; entries are counted in each family apart."""
    families = (
        [e for e in entries if ":" not in e["protocol"]],
        [e for e in entries if ":" in e["protocol"]],
    )
    return [peer for family in families for peer in _family(family, servers)]


def _family(entries: list[dict[str, Any]], servers: dict[str, dict[str, Any]]) -> list[Peer]:
    number = Counter(each["nbma"] for each in entries)
    ordered = sorted(entries, key=lambda each: _ordinal(each["nbma"]))
    peers, seen = [], set()
    for each in ordered:
        peers.append(
            Peer(
                entries=0 if each["nbma"] in seen else number[each["nbma"]],
                nbma=each["nbma"],
                tunnel_address=each["via"],
                state=_state(servers.get(each["protocol"])),
                up_down_s=each["created_s_ago"],
                attributes=_attributes(each),
                target=f"{each['protocol']}/{each['prefix_length']}",
            )
        )
        seen.add(each["nbma"])
    return peers


def _ordinal(address: str) -> tuple[int, ...]:
    return tuple(int(octet) for octet in address.split("."))


def _state(server: dict[str, Any] | None) -> str:
    if server is None or server["state"] == "registered":
        return "UP"
    return "IKE" if (server["last_error"] or "").startswith("no IPsec SA") else "NHRP"


def _attributes(entry: dict[str, Any]) -> str:
    letters = [ATTRIBUTES[entry["type"]]]
    letters += [letter for flag, letter in ATTRIBUTES.items() if flag in entry["flags"]]
    return "".join(letters)


def text(tunnels: list[Dmvpn], *, detail: bool) -> str:
    """As a router prints it."""
    return "\n\n".join([LEGEND, *(_detail(each) if detail else _brief(each) for each in tunnels)])


def _brief(tunnel: Dmvpn) -> str:
    peers = _of_ipv4(tunnel)
    lines = [
        f"Interface: {tunnel['interface']}, IPv4 NHRP Details",
        f"Type:{tunnel['type']}, NHRP Peers:{len(peers)},",
        "",
        HEAD,
    ]
    return "\n".join([*lines, *(_row(peer) for peer in peers), *_ipv6(tunnel)])


def _of_ipv4(tunnel: Dmvpn) -> list[Peer]:
    return [peer for peer in tunnel["peers"] if ":" not in peer["target"]]


def _ipv6(tunnel: Dmvpn) -> list[str]:
    """The peers of IPv6, whose addresses are too long for a table; nothing where there are none."""
    peers = [peer for peer in tunnel["peers"] if ":" in peer["target"]]
    if not peers:
        return []
    total = len({peer["nbma"] for peer in peers})
    lines = ["", f"Interface: {tunnel['interface']}, IPv6 NHRP Details",
             f"Type:{tunnel['type']}, Total NBMA Peers (v4/v6): {total}/0"]  # fmt: skip
    for number, peer in enumerate(peers, 1):
        lines += [
            f"{number:>5}.Peer NBMA Address: {peer['nbma']}",
            f"        Tunnel IPv6 Address: {peer['tunnel_address']}",
            f"        IPv6 Target Network: {peer['target']}",
            f"        # Ent: {peer['entries']}, Status: {peer['state']}, "
            f"UpDn Time: {clock(peer['up_down_s'])}, Cache Attrib: {peer['attributes']}",
        ]
    return lines


def _detail(tunnel: Dmvpn) -> str:
    state = "up" if tunnel["up"] else "down"
    source, kind = tunnel["source"] or "none", "MGRE" if tunnel["multipoint"] else "GRE"
    lines = [
        f'Interface {tunnel["interface"]} is {state}/{state}, Addr. is {tunnel["address"]}, VRF ""',
        f'   Tunnel Src./Dest. addr: {source}/{kind}, Tunnel VRF ""',
        f'   Protocol/Transport: "{"multi-GRE" if tunnel["multipoint"] else "GRE"}/IP"',
        f"Type:{tunnel['type']}, Total NBMA Peers (v4/v6): {len({p['nbma'] for p in tunnel['peers']})}/0",
    ]
    for family in (4, 6):
        servers = [s for s in tunnel["servers"] if (":" in s["address"]) == (family == 6)]
        lines += ["", f"IPv{family} NHS:"] if servers else []
        lines += [f"{s['address']:<15} {s['status']:>2} priority = {s['priority']} cluster = 0"
                  for s in servers]  # fmt: skip
    rows = [f"{_row(peer)} {peer['target']:>17}" for peer in _of_ipv4(tunnel)]
    return "\n".join([*lines, "", HEAD_DETAIL, *rows, *_ipv6(tunnel)])


def _row(peer: Peer) -> str:
    entries = str(peer["entries"]) if peer["entries"] else ""
    return (f"{entries:>5} {peer['nbma']:<15} {peer['tunnel_address']:>15} {peer['state']:>5} "
            f"{clock(peer['up_down_s'])} {peer['attributes']:>5}")  # fmt: skip


def clock(seconds: float | None) -> str:
    """HH:MM:SS, from a day on 1d02h, as routers print it; `never` for none."""
    if seconds is None:
        return "never"
    whole = max(0, int(seconds))
    if whole >= 86400:
        return f"{whole // 86400}d{whole // 3600 % 24:02d}h".rjust(8)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
