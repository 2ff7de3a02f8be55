"""How long a condition may take, from the protocols' timers of the clouds, when no time is named."""

from __future__ import annotations

from dmvpn_lab.checks import encryption, registration, resolution
from dmvpn_lab.convergence import LEASE_DEADLINE_S, REGISTER_DEADLINE_S
from dmvpn_lab.outage import DEADLINE_S as IPSEC_DEADLINE_S
from dmvpn_lab.routing import protocol
from dmvpn_lab.scenario import model
from dmvpn_lab.scenario.model import Condition
from dmvpn_lab.spec.plan_types import Plan

CHECKS_S = {
    "registration": registration.DEADLINE_S,
    "multicast": registration.DEADLINE_S,
    "encryption": encryption.DEADLINE_S,
}


def derived_s(plan: Plan, condition: Condition, *, leases: bool) -> float:
    """Seconds; with `leases` an address is leased first."""
    match condition:
        case model.EventHappened():
            own_s = _event_s(plan, condition)
        case model.CheckPasses():
            own_s = CHECKS_S.get(condition.check, routes_s(plan)) + _secured_s(plan)
        case model.EntryExists():
            own_s = routes_s(plan) if condition.entry.startswith("eigrp") else _registered_s(plan)
        case _:
            own_s = routes_s(plan)
    return own_s + (LEASE_DEADLINE_S if leases else 0.0)


def routes_s(plan: Plan) -> float:
    """Until every cloud's routes are there, and what is resolved over them."""
    found = [protocol(cloud.routing.protocol).deadline_s(cloud) for cloud in plan.clouds]
    return max(found, default=0.0) + resolution.DEADLINE_S


def _event_s(plan: Plan, condition: model.EventHappened) -> float:
    name = condition.event
    if name.startswith(("ipsec-", "ike-", "agent-", "state-", "tunnel-", "nbma-")):
        return IPSEC_DEADLINE_S
    if name.startswith(("eigrp-", "odr-", "resol", "shortcut-", "indication-", "purge-")):
        return routes_s(plan)
    if name == "peer-expired":
        return max(cloud.holding_time_s for cloud in plan.clouds) + REGISTER_DEADLINE_S
    if condition.facts.get("trigger") == "timer":
        intervals_s = [c.registration_interval_s or c.holding_time_s / 3 for c in plan.clouds]
        return max(intervals_s) + REGISTER_DEADLINE_S
    return _registered_s(plan)


def _registered_s(plan: Plan) -> float:
    """A request and its retransmissions, and an SA before where there must be one."""
    return REGISTER_DEADLINE_S + _secured_s(plan)


def _secured_s(plan: Plan) -> float:
    """Until there are SAs, where there must be any."""
    return IPSEC_DEADLINE_S if any(cloud.ipsec is not None for cloud in plan.clouds) else 0.0
