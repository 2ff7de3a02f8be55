"""`show NODE nhrp detail`, `nhrp nhs detail`, `nhrp multicast`, `nhrp traffic` as IOS prints them.

The JSON is the agent's own answer, of which these are another form.
"""

from __future__ import annotations

from typing import Any

from dmvpn_lab.cli.dmvpn import clock, nhs_status

QUERIES = {
    ("detail",): "nhrp", ("nhs",): "nhs", ("nhs", "detail"): "nhs", ("multicast",): "multicast",
    ("traffic",): "counters",
}  # fmt: skip
"""Words after `nhrp` -> the agent's query."""
FLAGS = {
    "unique": "unique", "registered": "registered", "resolved": "router nhop", "shortcut": "router rib",
    "nhs": "used", "nat": "nat",
}  # fmt: skip
"""Ours -> IOS's."""
KINDS = (
    ("resolution-request", "Resolution Request"), ("resolution-reply", "Resolution Reply"),
    ("registration-request", "Registration Request"), ("registration-reply", "Registration Reply"),
    ("purge-request", "Purge Request"), ("purge-reply", "Purge Reply"),
    ("error-indication", "Error Indication"), ("traffic-indication", "Traffic Indication"),
)  # fmt: skip
A_LINE = 3


def text(words: tuple[str, ...], facts: Any) -> str:
    """The answer to one of QUERIES as a router prints it."""
    match words:
        case ("detail",):
            return "\n".join(_entry(each) for each in facts)
        case ("nhs", *more):
            return _servers(facts, detail=bool(more))
        case ("multicast",):
            return _multicast(facts)
        case _:
            return "\n".join(_traffic(name, counts) for name, counts in facts.items())


def _entry(entry: dict[str, Any]) -> str:
    expire = "never expire" if entry["expires_in_s"] is None else f"expire {clock(entry['expires_in_s'])}"
    flags = " ".join(word for flag, word in FLAGS.items() if flag in entry["flags"])
    return "\n".join([
        f"{entry['protocol']}/{entry['prefix_length']} via {entry['via']}",
        f"   {entry['interface']} created {clock(entry['created_s_ago'])}, {expire}",
        f"   Type: {entry['type']}, Flags: {flags}",
        f"   NBMA address: {entry['nbma']}",
    ])  # fmt: skip


def _servers(facts: list[dict[str, Any]], *, detail: bool) -> str:
    lines = ["Legend: E=Expecting replies, R=Responding, W=Waiting, D=Dynamic"]
    for interface in dict.fromkeys(each["interface"] for each in facts):
        lines.append(f"{interface}:")
        for each in facts:
            if each["interface"] != interface:
                continue
            line = f"{each['protocol']}  {nhs_status(each):>2}"
            if detail:
                line += (f"  NBMA Address: {each['nbma']} priority = {each['priority']} cluster = 0"
                         f"  req-sent {each['requests_sent']}  req-failed {each['requests_failed']}"
                         f"  repl-recv {each['replies_received']}")  # fmt: skip
                ago = each["replied_s_ago"]
                line += "" if ago is None else f" ({clock(ago)} ago)"
            lines.append(line)
    return "\n".join(lines)


def _multicast(facts: list[dict[str, Any]]) -> str:
    lines = ["  I/F     NBMA address"]
    for each in facts:
        lines.append(f"{each['interface']:<9} {each['nbma']:<18} Flags: {each['origin']:<15} (Enabled)"
                     f"  {each['packets']} packets")  # fmt: skip
    return "\n".join(lines)


def _traffic(interface: str, counts: dict[str, int]) -> str:
    """Packets by type as IOS counts them, then whatever else the agent counts."""
    lines, used = [f"{interface}:"], set()
    for title, direction in (("Sent", "sent"), ("Rcvd", "received")):
        names = [f"{direction}-{name}" for name, _ in KINDS]
        used.update(names)
        lines.append(f"   {title}: Total {sum(counts.get(name, 0) for name in names)}")
        cells = [f"{counts.get(name, 0)} {words}" for name, (_, words) in zip(names, KINDS, strict=True)]
        lines += ["         " + "  ".join(cells[i : i + A_LINE]) for i in range(0, len(cells), A_LINE)]
    lines += [f"   {name}: {value}" for name, value in counts.items() if name not in used]
    return "\n".join(lines)
