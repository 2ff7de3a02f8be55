"""`show NODE eigrp ...` as IOS prints it."""

from __future__ import annotations

from typing import Any

QUERIES = {
    "neighbors": "eigrp-neighbors",
    "interfaces": "eigrp-interfaces",
    "topology": "eigrp-topology",
    "traffic": "eigrp-traffic",
}
"""What can be shown -> the agent's query."""
_KINDS = (
    ("Hellos", "hello"),
    ("Updates", "update"),
    ("Queries", "query"),
    ("Replies", "reply"),
    ("Acks", "ack"),
    ("SIA-Queries", "sia-query"),
    ("SIA-Replies", "sia-reply"),
)
_NEIGHBOURS_HEAD = """\
H   Address                 Interface              Hold Uptime   SRTT   RTO  Q  Seq
                                                   (sec)         (ms)       Cnt Num"""
_INTERFACES_HEAD = """\
                              Xmit Queue    Mean   Pacing Time   Bandwidth
Interface              Peers  Un/Reliable   SRTT   Un/Reliable   (kbit/s)"""
_CODES = """\
Codes: P - Passive, A - Active, U - Update, Q - Query, R - Reply,
       r - reply Status, s - sia Status
"""


def text(what: str, facts: Any) -> str:
    """The answer to one of QUERIES as a router prints it."""
    match what:
        case "neighbors":
            return _neighbours(facts)
        case "interfaces":
            return _interfaces(facts)
        case "topology":
            return _topology(facts)
        case _:
            return _traffic(facts)


def _neighbours(facts: list[dict[str, Any]]) -> str:
    asn = facts[0]["asn"] if facts else ""
    lines = [f"EIGRP-IPv4 Neighbors for AS({asn})" if facts else "EIGRP-IPv4 Neighbors: none"]
    if facts:
        lines.append(_NEIGHBOURS_HEAD)
    for each in facts:
        srtt = 0 if each["srtt_ms"] is None else max(1, round(each["srtt_ms"]))
        lines.append(
            f"{each['handle']:<3d} {each['address']:<23} {each['interface']:<23} "
            f"{round(each['hold_s']):>3d} {_uptime(each['uptime_s'])} {srtt:>5d} {each['rto_ms']:>5d}  "
            f"{each['queued']:<2d} {each['sequence']}"
        )
    return "\n".join(lines)


def _interfaces(facts: list[dict[str, Any]]) -> str:
    if not facts:
        return "EIGRP-IPv4 Interfaces: none"
    lines = [f"EIGRP-IPv4 Interfaces for AS({facts[0]['asn']})", _INTERFACES_HEAD]
    for each in facts:
        srtt = 0 if each["srtt_ms"] is None else max(1, round(each["srtt_ms"]))
        share = f"{each['bandwidth_percent']}% of {each['bandwidth_kbps']}"
        lines.append(
            f"{each['interface']:<22} {each['peers']:>5d}  {'0/' + str(each['queued']):>11} {srtt:>6d}   "
            f"{'0/' + str(round(each['pacing_ms'])):>11}   {share}"
        )
    return "\n".join(lines)


def _topology(facts: dict[str, Any]) -> str:
    lines = [f"EIGRP-IPv4 Topology Table for AS({facts['asn']})/ID({facts['router_id']})", _CODES]
    for route in facts["routes"]:
        state = "A" if route["active"] else "P"
        distance = route["feasible_distance"]
        far = "Inaccessible" if distance is None else str(distance)
        lines.append(f"{state} {route['prefix']}, {route['successors']} successors, FD is {far}")
        for path in route["paths"]:
            if path["neighbour"] is not None:
                pair = f"({path['distance']}/{path['reported_distance']})"
                lines.append(f"        via {path['next_hop']} {pair}, {path['interface']}")
            elif path["interface"] == "Null0":
                lines.append(f"        via Summary ({path['distance']}/0), Null0")
            else:
                lines.append(f"        via Connected, {path['interface']}")
        if route["waiting"]:
            lines.append(f"      Remaining replies: {', '.join(route['waiting'])}")
    return "\n".join(lines)


def _traffic(facts: dict[str, Any]) -> str:
    counters = facts["counters"]
    lines = [f"EIGRP-IPv4 Traffic Statistics for AS({facts['asn']})"]
    used: set[str] = set()
    for title, name in _KINDS:
        pair = f"sent-{name}", f"received-{name}"
        used.update(pair)
        lines.append(f"  {title} sent/received: {counters.get(pair[0], 0)}/{counters.get(pair[1], 0)}")
    lines += [f"  {name}: {value}" for name, value in counters.items() if name not in used]
    return "\n".join(lines)


def _uptime(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
