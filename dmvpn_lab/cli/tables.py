"""What `show` makes of an agent's answer: the columns of a table, and its rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Table = tuple[tuple[str, ...], list[tuple[object, ...]]]
"""Columns and rows."""
EIGRP_ROUTES = "88"
"""Protocol number of the agent's routes in the kernel."""


def nhrp(entries: Any) -> Table:
    """The NHRP cache."""
    return ("address", "NBMA address", "interface", "type", "flags", "expires"), [
        (f"{e['protocol']}/{e['prefix_length']}", e["nbma"], e["interface"], e["type"],
         " ".join(e["flags"]), _duration(e["expires_in_s"]))
        for e in entries
    ]  # fmt: skip


def nhs(entries: Any) -> Table:
    """The servers that a spoke registers at."""
    columns = ("NHS", "NBMA address", "interface", "state", "sent", "failed", "replies", "renews", "error")
    return columns, [
        (e["protocol"], e["nbma"], e["interface"], e["state"], e["requests_sent"],
         e["requests_failed"], e["replies_received"], _duration(e["renews_in_s"]), e["last_error"])
        for e in entries
    ]  # fmt: skip


def odr(facts: Any) -> Table:
    """Who tells by CDP what is behind them."""
    return ("device", "address", "interface", "hold", "prefixes"), [
        (e["device"], e["address"], e["interface"], _duration(e["hold_s"]), " ".join(e["prefixes"]))
        for e in facts["neighbours"]
    ]


def multicast(entries: Any) -> Table:
    """Who gets a copy of each multicast packet."""
    return ("interface", "NBMA address", "flags", "packets"), [
        (e["interface"], e["nbma"], e["origin"], e["packets"]) for e in entries
    ]


def ipsec(entries: Any) -> Table:
    """SA pairs."""
    columns = ("peer", "identity", "IKE", "transform", "SPI in", "SPI out", "in", "out", "NAT")
    return columns, [
        (e["nbma"], e["identity"], e["ike"], e["transform"], e["spi_in"], e["spi_out"],
         e["packets_in"], e["packets_out"], "yes" if e["encapsulated"] else "no")
        for e in entries
    ]  # fmt: skip


def routes(found: Any) -> Table:
    """The kernel's, as `ip -json route` has them."""
    return ("destination", "via", "interface", "protocol", "metric"), [
        (r["dst"], _via(r), r.get("dev"), _protocol(r.get("protocol")), r.get("metric")) for r in found
    ]


def counters(facts: Any) -> Table:
    """By interface and name."""
    return ("interface", "counter", "value"), [
        (interface, name, value) for interface, counts in facts.items() for name, value in counts.items()
    ]


def status(facts: Any) -> Table:
    """Tunnels."""
    return ("interface", "mode", "address", "NBMA address", "network-id", "state"), [
        (t["interface"], t["mode"], t["address"], t["nbma"], t["network_id"], "up" if t["up"] else "down")
        for t in facts["tunnels"]
    ]


TABLES: dict[str, Callable[[Any], Table]] = {
    each.__name__: each for each in (nhrp, nhs, odr, multicast, ipsec, routes, counters, status)
}


def _via(route: dict[str, Any]) -> str:
    if "nexthops" in route:
        return " ".join(hop["gateway"] for hop in route["nexthops"])
    return str(route.get("gateway") or ("discard" if route.get("type") == "blackhole" else "connected"))


def _protocol(number: str | None) -> str | None:
    """`ip` knows no name for the agent's number."""
    return "eigrp" if number == EIGRP_ROUTES else number


def _duration(seconds: float | None) -> str:
    """HH:MM:SS as routers print it; `never` for none."""
    if seconds is None:
        return "never"
    return time.strftime("%H:%M:%S", time.gmtime(max(0, seconds)))
