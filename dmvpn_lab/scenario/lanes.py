"""Turns what the nodes told into rows of a picture: who said what to whom, encrypted or not.

Pure: a plan and a timeline in, rows out. `picture.py` draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from dmvpn_lab.backends.routes import RT_TABLE_MAIN
from dmvpn_lab.running import Event, RouteChange
from dmvpn_lab.scenario.timeline import StepResult, Timeline
from dmvpn_lab.spec.plan_types import Plan

TOGETHER_S = 0.25
"""Routes that come from one neighbour within so long are one update."""
Kind = Literal[
    "ike", "registration", "adjacency", "update", "gone", "resolution", "mark", "act", "proof", "failure"
]  # fmt: skip
JOINED = {"update": "routing update: ", "gone": "routes gone: "}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the picture."""

    at: float
    """Wall clock."""
    kind: Kind
    words: str
    source: str = ""
    """A router; empty for what concerns the whole lab."""
    target: str = ""
    """A router; empty for what happens in the source alone."""
    encrypted: bool = False
    """There was an SA between the two."""
    both: bool = False
    """Source and target do it together."""


class Lanes:
    """Reads the events in order; knows who has which address, and who shares an SA with whom."""

    def __init__(self, plan: Plan, timeline: Timeline) -> None:
        self._timeline = timeline
        self._protocol = {str(t.address.ip): node.name for node in plan.routers() for t in node.tunnels}
        self._nbma = {str(a.customer.ip): a.router for a in plan.access}
        self._nbma |= {nbma: each.node for each in timeline.start for nbma in each.nbma}
        self._spokes = {n.name for n in plan.routers() if any(t.role == "spoke" for t in n.tunnels)}
        self.secured: set[frozenset[str]] = {
            frozenset((each.node, self._nbma.get(peer, peer)))
            for each in timeline.start
            for peer in each.peers
        }
        """Pairs that share an SA at the moment."""

    def rows(self) -> list[Row]:
        """All rows in the order of their times."""
        told: list[tuple[float, Callable[[], Iterator[Row]]]] = []
        for event in self._timeline.events:
            told.append((float(event["at"]), lambda event=event: self._event(event)))  # type: ignore[misc]
        for change in self._timeline.routes:
            told.append((change.at, lambda change=change: self._route(change)))  # type: ignore[misc]
        rows = [row for _, read in sorted(told, key=lambda each: each[0]) for row in read()]
        rows += self._steps()
        return _joined(sorted(rows, key=lambda row: row.at))

    def _event(self, event: Event) -> Iterator[Row]:
        """The rows of one event; addresses and SAs change on the way."""
        at, node, name = float(event["at"]), str(event["node"]), str(event["event"])
        if name in ("nbma-changed", "tunnel-up") and (new := event.get("new", event.get("nbma"))):
            self._nbma[str(new)] = node
        if name.startswith("ipsec-") and "nbma" in event:
            yield from self._ipsec(at, node, name, self._peer(event["nbma"]))
            return
        if name.startswith("regist"):
            yield from self._registration(at, node, name, event)
            return
        if name.startswith(("eigrp-neighbour-", "odr-neighbour-")):
            peer = self._peer(event["neighbour"])
            if name.endswith("-up"):
                yield self._message(at, "adjacency", peer, node, "adjacency up")
            else:
                yield Row(at, "mark", f"adjacency with {peer} down: {event['reason']}", node)
        elif name == "resolution-sent":
            peer = self._peer(event["nhs"])
            yield self._message(at, "resolution", node, peer, f"NHRP resolution request {event['protocol']}")
        elif name == "indication-sent":
            yield self._message(at, "resolution", node, self._peer(event["nbma"]), "NHRP traffic indication")
        elif (words := _mark(name, event)) is not None:
            yield Row(at, "mark", words, node)

    def _ipsec(self, at: float, node: str, name: str, peer: str) -> Iterator[Row]:
        """Both ends tell of an SA: the spoke's word is drawn, or the first of two spokes'."""
        pair = frozenset((node, peer))
        known = pair in self.secured
        if name == "ipsec-up":
            self.secured.add(pair)
        elif name == "ipsec-down":
            self.secured.discard(pair)
        drawn = node in self._spokes and (peer not in self._spokes or known == (name != "ipsec-up"))
        words = {
            "ipsec-up": "IKE/IPsec established", "ipsec-rekeyed": "IPsec: new keys",
            "ipsec-down": "IPsec: the last SA is gone", "ipsec-failed": "IKE failed",
        }.get(name)  # fmt: skip
        if drawn and words:
            yield Row(at, "ike", words, node, peer, pair in self.secured, both=True)

    def _registration(self, at: float, node: str, name: str, event: Event) -> Iterator[Row]:
        hub = self._peer(event["nhs"])
        if name == "registration-sent":
            words = f"NHRP registration request ({event['trigger']})"
            yield self._message(at, "registration", node, hub, words)
        elif name == "registered":
            yield self._message(at, "registration", hub, node, "NHRP registration reply")
        elif name == "registration-refused":
            yield self._message(at, "registration", hub, node, f"NHRP registration refused: {event['code']}")
        elif name == "registration-timeout":
            yield Row(at, "mark", "no NHRP registration reply", node)

    def _route(self, change: RouteChange) -> Iterator[Row]:
        """A route by another router's tunnel address is what an update brought; or it is gone."""
        route = change.what
        senders = [self._protocol[str(via)] for via in route.via if str(via) in self._protocol]
        if route.table != RT_TABLE_MAIN or not senders:
            return
        words = str(route.destination) if route.destination.prefixlen else "default"
        if route.gone:
            yield Row(change.at, "gone", words, change.node)
        for sender in senders if not route.gone else ():
            yield self._message(change.at, "update", sender, change.node, words)

    def _message(self, at: float, kind: Kind, source: str, target: str, words: str) -> Row:
        return Row(at, kind, words, source, target, frozenset((source, target)) in self.secured)

    def _peer(self, address: object) -> str:
        """The router of a tunnel or NBMA address; the address itself when it is nobody's."""
        return self._protocol.get(str(address)) or self._nbma.get(str(address)) or str(address)

    def _steps(self) -> Iterator[Row]:
        for step in self._timeline.steps:
            if step.at_s is not None:
                yield _step(self._timeline.began, step)


def _step(began: float, step: StepResult) -> Row:
    """An act stands where it began, a proof where it was proved."""
    at_s, words = step.at_s or 0.0, f"{step.kind} {step.what}"
    if step.verdict != "passed":
        return Row(began + at_s, "failure", f"{step.kind}: {step.what}: {step.observed}")
    if step.kind in ("inject", "trigger", "clear", "undo"):
        return Row(began + at_s, "act", words)
    if step.kind in ("expect", "settle") and step.after_s is not None:
        words += f": after {step.after_s:.3f} s"
    return Row(began + (step.so_at_s or at_s), "proof", words)


def _mark(name: str, event: Event) -> str | None:
    """What happens in one router alone, if it is worth a row."""
    match name:
        case "nbma-changed":
            return f"NBMA {event['old'] or 'none'} -> {event['new'] or 'none'}"
        case "peer-registered":
            return f"binding {event['protocol']} -> {event['nbma']}"
        case "peer-expired" | "peer-refused":
            return f"{name.replace('-', ' ')}: {event['protocol']} at {event['nbma']}"
        case "resolved":
            return f"resolved {event['protocol']} -> {event['nbma']}"
        case "shortcut-added" | "shortcut-removed":
            return f"{name.replace('-', ' ')}: {event['prefix']} via {event['via']}"
        case "tunnel-up" | "tunnel-down" | "agent-ready" | "ike-ready" | "ike-lost":
            return name.replace("-", " ")
    return None


def _joined(rows: list[Row]) -> list[Row]:
    """Routes of one update in one row, and those that go together."""
    joined: list[Row] = []
    for row in rows:
        last = joined[-1] if joined else None
        if last is not None and row.kind in JOINED and _together(last, row):
            joined[-1] = replace(last, words=f"{last.words}, {row.words}")
        else:
            joined.append(row)
    return [replace(row, words=JOINED.get(row.kind, "") + row.words) for row in joined]


def _together(a: Row, b: Row) -> bool:
    same = (a.kind, a.source, a.target) == (b.kind, b.source, b.target)
    return same and b.at - a.at < TOGETHER_S
