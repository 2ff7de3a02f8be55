"""Every kind of fault in one form, for what does faults by name: scenarios and random timelines."""

from __future__ import annotations

import difflib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults import address_change, impair, link_down, nat_rebind
from dmvpn_lab.faults.impair import Impairment
from dmvpn_lab.faults.moment import Moment, Where, chosen, moments
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import Plan

Options = Mapping[str, Any]
"""As a file has them: words, numbers and truth values."""
LONGEST_GAP_S = 3600.0
RENEWED = frozenset({"hub-restart", "expire"})
"""Over when the spokes renew their registration."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    options: tuple[str, ...]
    lasting: bool
    """It is in force until it is undone."""
    recovered_by: str | None
    """The event that says that it is over; None: nothing says so."""
    recovered_at: Where
    """Who says so: the spokes that a fault touches, the hub, or the node itself."""
    drawn: bool
    """Whether chance may draw it: a lab is over it soon, not when somebody renews."""
    targets: Callable[[Plan], tuple[str, ...]]
    """The nodes that it can be done to."""
    check: Callable[[Options], None]
    """Raises UsageError for options that cannot be."""
    inject: Callable[[RunningLab, str, Options], Awaitable[str]]
    """Do it; what was done, in words."""
    draw: Callable[[random.Random, Plan, str], dict[str, Any]]
    """Options by chance, for that node."""


def kinds() -> dict[str, Kind]:
    """All there are, by name."""
    found = [_address_change(), _link_down(), _impair(), _nat_rebind()]
    found += [_of_a_moment(moment) for moment in moments()]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}


def kind(name: str) -> Kind:
    """The kind of that name. Raises UsageError that lists what there is."""
    found = kinds()
    if name not in found:
        near = difflib.get_close_matches(name, found, 1, 0.7)
        hint = f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(found)}"
        raise UsageError(f"there is no fault {name!r}", hint=hint)
    return found[name]


def _address_change() -> Kind:
    async def inject(lab: RunningLab, node: str, options: Options) -> str:
        injected, _ = await address_change.inject(lab, _wish(node, options))
        return injected.what

    def draw(chance: random.Random, plan: Plan, node: str) -> dict[str, Any]:
        provider = {access.router: access.provider for access in plan.access}
        others = [each for each in _leased(plan) if each != node and provider[each] == provider[node]]
        forms: list[dict[str, Any]] = [{}, {"subnet": True}, {"gap": f"{chance.randint(1, 4)}s"}]
        forms += [{"swap": chance.choice(others)}] if others else []
        return chance.choice(forms)

    def check(options: Options) -> None:
        _wish("", options)

    options = ("address", "subnet", "gap", "swap")
    return Kind(address_change.NAME, options, True, "registered", "spoke", True, _leased, check, inject, draw)


def _link_down() -> Kind:
    def check(options: Options) -> None:
        _known(options, ("lan",))
        if not isinstance(options.get("lan", False), bool):
            raise UsageError(f"{options['lan']!r} will not do", hint="lan is true or false")

    async def inject(lab: RunningLab, node: str, options: Options) -> str:
        return (await link_down.inject(lab, node, lan=bool(options.get("lan")))).what

    return Kind(link_down.NAME, ("lan",), True, None, "node", False, _agents, check, inject, _nothing)


def _impair() -> Kind:
    names = ("delay", "jitter", "loss", "rate")

    def impairment(options: Options) -> Impairment:
        _known(options, names)
        values = {name: options.get(name, 0) for name in names}
        for value in values.values():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UsageError(f"{value!r} will not do", hint="a whole number")
        return Impairment(values["delay"], values["jitter"], values["loss"], values["rate"])

    def check(options: Options) -> None:
        impairment(options).words()

    async def inject(lab: RunningLab, node: str, options: Options) -> str:
        return (await impair.inject(lab, node, impairment(options))).what

    return Kind(impair.NAME, names, True, None, "node", False, _agents, check, inject, _nothing)


def _nat_rebind() -> Kind:
    def targets(plan: Plan) -> tuple[str, ...]:
        return tuple(node.name for node in plan.nodes if node.kind == "nat")

    def check(options: Options) -> None:
        _known(options, ())

    async def inject(lab: RunningLab, node: str, options: Options) -> str:
        return (await nat_rebind.inject(lab, node)).what

    return Kind(nat_rebind.NAME, (), True, None, "node", False, targets, check, inject, _nothing)


def _of_a_moment(moment: Moment) -> Kind:
    def targets(plan: Plan) -> tuple[str, ...]:
        return tuple(
            each.name for each in plan.agents()
            if (not moment.needs_ipsec or any(plan.cloud(t.cloud).ipsec for t in each.tunnels))
            and (not moment.hubs_only or any(t.role == "hub" for t in each.tunnels))
        )  # fmt: skip

    def check(options: Options) -> None:
        _known(options, ("how",))
        chosen(moment, options.get("how"))

    async def inject(lab: RunningLab, node: str, options: Options) -> str:
        return await moment.inject(lab, node, chosen(moment, options.get("how")))

    def draw(chance: random.Random, plan: Plan, node: str) -> dict[str, Any]:
        return {"how": chance.choice(moment.ways).name}

    drawn = moment.recovered_by is not None and moment.name not in RENEWED
    return Kind(moment.name, ("how",), False, moment.recovered_by, moment.recovered_at, drawn, targets,
                check, inject, draw)  # fmt: skip


def _nothing(chance: random.Random, plan: Plan, node: str) -> dict[str, Any]:
    """No options."""
    return {}


def _agents(plan: Plan) -> tuple[str, ...]:
    return tuple(node.name for node in plan.agents())


def _leased(plan: Plan) -> tuple[str, ...]:
    ours = {node.name for node in plan.agents()}
    return tuple(a.router for a in plan.access if a.dynamic and a.router in ours)


def _wish(node: str, options: Options) -> address_change.Wish:
    """Raises UsageError."""
    _known(options, ("address", "subnet", "gap", "swap"))
    if sum(1 for name in ("address", "subnet", "swap") if options.get(name)) > 1:
        raise UsageError("address, subnet and swap exclude each other", hint="name one of them")
    subnet, swap = options.get("subnet", False), options.get("swap")
    if not isinstance(subnet, bool) or not isinstance(swap, str | None):
        raise UsageError("subnet is true or false, swap a node's name")
    address = options.get("address")
    return address_change.Wish(
        node, None if address is None else _interface(address), subnet, _gap_s(options), swap
    )


def _interface(text: Any) -> IPv4Interface:
    try:
        if "/" not in str(text):
            raise ValueError
        return IPv4Interface(str(text))
    except ValueError:
        raise UsageError(
            f"{text!r} is no address", hint="write ADDRESS/LENGTH, such as 172.16.1.77/24"
        ) from None


def _gap_s(options: Options) -> float:
    text = str(options.get("gap", "0s"))
    try:
        gap_s = float(text.removesuffix("s"))
    except ValueError:
        gap_s = -1.0
    if not 0 <= gap_s <= LONGEST_GAP_S:
        raise UsageError(f"{text!r} is no time", hint="write seconds, such as 5s; at most 3600s")
    return gap_s


def _known(options: Options, names: tuple[str, ...]) -> None:
    for name in options:
        if name not in names:
            raise UsageError(f"it has no option {name!r}", hint=f"there are: {', '.join(names) or 'none'}")
