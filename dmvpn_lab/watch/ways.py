"""Ways between two routers: shortcuts, and whether an SA pair protects them."""

from __future__ import annotations

from dmvpn_lab.spec.plan_types import Plan
from dmvpn_lab.watch.frame import CacheEntry, Sa, Shortcut


def protected(plan: Plan, sas: list[Sa], one: str, other: str) -> bool:
    """Whether two routers have the same SA pair; of an external one nobody tells, so ours decides."""
    there = {(sa["node"], sa["spi_in"], sa["spi_out"]) for sa in sas}
    for near, far in ((one, other), (other, one)):
        ours = [sa for sa in sas if sa["node"] == near]
        if plan.node(far).external is not None:
            if any(sa["peer"] == far for sa in ours):
                return True
        elif any((far, sa["spi_out"], sa["spi_in"]) in there for sa in ours):
            return True
    return False


def shortcuts(plan: Plan, caches: list[CacheEntry], sas: list[Sa]) -> list[Shortcut]:
    """Every way past the hubs, as the router at its beginning has it."""
    found: dict[tuple[str, str, str], Shortcut] = {}
    for entry in caches:
        source, target = entry["node"], entry["peer"]
        if not target or source == target or not {"resolved", "shortcut"} & set(entry["flags"]):
            continue
        cloud = next(t.cloud for t in plan.node(source).tunnels if t.name == entry["interface"])
        hubs = {hub.name for hub, _ in plan.members(cloud, "hub")}
        if hubs & {source, target}:
            continue
        safe = None if plan.cloud(cloud).ipsec is None else protected(plan, sas, source, target)
        way = found.setdefault(
            (cloud, source, target),
            Shortcut(cloud=cloud, source=source, target=target, prefixes=[],
                     expires_at=entry["expires_at"], protected=safe),
        )  # fmt: skip
        if "shortcut" in entry["flags"]:
            way["prefixes"].append(entry["protocol"])
    return list(found.values())
