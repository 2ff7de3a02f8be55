"""A running lab as a test sees it: plain calls that return, or raise with what was seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any, TypeVar

from dmvpn_lab import checks, controller, convergence, faults, outage
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.backends.state import locked
from dmvpn_lab.checks import CheckResult, registration
from dmvpn_lab.convergence import Step
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.faults import address_change, base, impair, link_down, nat_rebind
from dmvpn_lab.faults.base import Injected, Line
from dmvpn_lab.faults.moment import chosen, moments
from dmvpn_lab.outage import Outage
from dmvpn_lab.running import Event, RunningLab
from dmvpn_lab.scenario import runner
from dmvpn_lab.scenario.model import Scenario
from dmvpn_lab.scenario.timeline import Timeline, verdict_words
from dmvpn_lab.spec.plan_types import Plan
from dmvpn_lab.testing.loop import Loop
from dmvpn_lab.testing.observer import Observation, Observer
from dmvpn_lab.testing.traces import told_in_words

__tracebackhide__ = told_in_words
T = TypeVar("T")
WAIT_S = 30.0
STEP_S = 0.5
"""The longest between two looks of `wait_for` while nothing happens in the lab."""


class CheckFailed(AssertionError):
    """A check found something else than it must; `results` are those that failed."""

    def __init__(self, results: Sequence[CheckResult]) -> None:
        self.results = tuple(results)
        lines = [f"{r.name} at {r.node}: expected {r.expected}; observed {r.observed}" for r in results]
        super().__init__("\n".join(lines))


class ScenarioFailed(AssertionError):
    """A step of a scenario failed, or proved nothing; `timeline` has all that was seen."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        failure = timeline.failure()
        super().__init__(f"{timeline.scenario}: {verdict_words(failure) if failure else 'failed'}")


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a lab got over a fault."""

    fault: Injected
    steps: tuple[Step, ...]

    def after_s(self, step: str) -> float:
        """Seconds until the last tunnel had made a step: `registered`, `multicast`, `adjacent`,
        `reachable`. KeyError for a step that was not made."""
        times = [each.after_s for each in self.steps if each.step == step]
        if not times:
            raise KeyError(f"no step {step!r}; there are {sorted({s.step for s in self.steps})}")
        return max(times)


class LiveLab:
    """One running lab. Made by `Labs`, or handed out by the fixture `dmvpn_lab`."""

    def __init__(self, lab: RunningLab, backend: str, loop: Loop, capture: Sequence[str] | None) -> None:
        self.lab = lab
        """The asynchronous view of it."""
        self.backend = backend
        self._loop = loop
        self._observer: Observer | None = None
        self.observe(capture)

    @property
    def plan(self) -> Plan:
        """Every name and address of the lab."""
        return self.lab.plan

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.lab.plan.lab

    @property
    def observer(self) -> Observer:
        """What it has seen. Raises UsageError when the lab has been taken down."""
        if self._observer is None:
            raise UsageError(f"lab {self.name} on {self.backend} was taken down", hint="ask for it again")
        return self._observer

    # --- look ---

    def exec(self, node: str, *argv: str, timeout_s: float = 60.0) -> ExecResult:
        """Run a command in a node to its end, whatever its exit code."""
        return self._run(self.lab.exec(node, *argv, timeout_s=timeout_s))

    def must(self, node: str, *argv: str) -> str:
        """Run a command in a node that has to succeed; its stdout. Raises LabError."""
        return self._run(self.lab.must(node, *argv))

    def show(self, node: str, what: str) -> Any:
        """What a router's agent tells: `nhrp`, `nhs`, `multicast`, `counters`, `status`;
        or a node's `routes` (of `ip route`)."""
        if what == "routes":
            self.lab.node(node)
            return json.loads(self.must(node, "ip", "-json", "route", "show"))
        self.lab.router(node)
        return self._run(self.lab.query(node, what))

    def events(self, name: str | None = None, **facts: Any) -> list[Event]:
        """The agents' events since the test began; those of a name and with these facts."""
        wanted = facts | ({"event": name} if name else {})
        return [e for e in self.observer.events() if all(e.get(k) == v for k, v in wanted.items())]

    # --- wait ---

    def wait_for(self, predicate: Callable[[], T], timeout_s: float = WAIT_S, *, what: str = "") -> T:
        """Call `predicate` until what it returns is true, and return that.

        Looks again when an agent says something or a route changes. An AssertionError
        or LabError of the predicate means "not yet". Raises AssertionError with the last observation.
        """
        watch = self.observer.watch
        end = time.monotonic() + timeout_s
        while True:
            try:
                seen: Any = predicate()
                if seen:
                    return seen  # type: ignore[no-any-return]
            except (AssertionError, LabError) as error:
                seen = error
            left_s = end - time.monotonic()
            if left_s <= 0:
                name = what or getattr(predicate, "__name__", "the condition")
                raise AssertionError(f"{name}: not within {timeout_s:g} s; last seen: {seen!r}")
            self._run(watch.wait(min(STEP_S, left_s)))

    def wait_for_event(self, name: str, timeout_s: float = WAIT_S, **facts: Any) -> Event:
        """The first event of that name, with these facts, since the test began."""
        return self.wait_for(lambda: self.events(name, **facts), timeout_s, what=f"event {name} {facts}")[0]

    # --- prove ---

    def check(self, *names: str) -> list[CheckResult]:
        """Run checks (`registration`, `multicast`, ...) in order; raises CheckFailed."""
        known = {check.name: check for check in checks.ALL}
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"unknown check {unknown[0]!r}", hint=f"there are: {', '.join(known)}")
        results = [result for name in names for result in self._run(self._results(known[name]))]
        _require(results)
        return results

    def verify(self) -> list[CheckResult]:
        """Run every check; raises CheckFailed."""
        return self.check(*(check.name for check in checks.ALL))

    # --- change ---

    def address_change(
        self,
        node: str,
        address: str | None = None,
        *,
        subnet: bool = False,
        gap_s: float = 0.0,
        swap: str | None = None,
    ) -> Recovery:
        """Give a spoke a new NBMA address and wait until the lab is over it.

        Raises LabError when a step does not come, CheckFailed when the hub keeps something old.
        """
        wish = address_change.Wish(node, None if address is None else IPv4Interface(address), subnet,
                                   gap_s, swap)  # fmt: skip
        with locked(self.name):
            self.observer.fresh()
            fault, after = self._run(address_change.inject(self.lab, wish))
            steps = self._recover(after)
            _require(self._run(_moved(self.lab, after)))
            return Recovery(fault, steps)

    def outage(self, fault: str, node: str, way: str | None = None) -> list[Outage]:
        """Do a fault of a moment (`agent-kill`, `rekey`, ...); how long each tunnel was away.

        Raises LabError when the lab does not get over it, CheckFailed when it is not sound after.
        """
        known = {each.name: each for each in moments()}
        if fault not in known:
            raise UsageError(f"unknown fault {fault!r}", hint=f"there are: {', '.join(known)}")
        chosen_way = chosen(known[fault], way)
        with locked(self.name):
            watch = self.observer.fresh()
            outages = self._run(outage.measure(self.lab, watch, known[fault], node, chosen_way, _silent))
            _require(self._run(outage.sound(self.lab, watch, node)))
            return outages

    def link_down(self, node: str, *, lan: bool = False) -> Injected:
        """Cut a router's line, or its LAN, until `undo`."""
        with locked(self.name):
            return self._run(link_down.inject(self.lab, node, lan=lan))

    def impair(self, node: str, **how: float) -> Injected:
        """Make a router's line slow, lossy or narrow until `undo`: `delay_ms`, `jitter_ms`,
        `loss_percent`, `rate_kbps`."""
        rate = int(how.pop("rate_kbps", 0))
        with locked(self.name):
            return self._run(impair.inject(self.lab, node, impair.Impairment(rate_kbps=rate, **how)))

    def nat_rebind(self, node: str) -> Injected:
        """Give a NAT router another address until `undo`. Nobody behind it is told."""
        with locked(self.name):
            return self._run(nat_rebind.inject(self.lab, node))

    def scenario(self, scenario: Scenario) -> Timeline:
        """Run a scenario; raises ScenarioFailed. `Labs.scenario` reads one and finds its lab."""
        with locked(self.name):
            watch = self.observer.fresh()
            timeline = self._run(runner.run(self.lab, watch, scenario, _silent, _silent))
        if not timeline.passed:
            raise ScenarioFailed(timeline)
        return timeline

    def faults(self) -> list[Injected]:
        """The faults that are in force, the oldest first."""
        return base.in_force(self.lab)

    def undo(self, fault: Injected | None = None) -> Recovery:
        """Undo a fault (the newest) and wait until the lab is over it."""
        found = self.faults()
        if not found:
            raise UsageError("no fault is in force")
        chosen = fault or found[-1]
        with locked(self.name):
            self.observer.fresh()
            return Recovery(chosen, self._recover(self._run(faults.undo(self.lab, chosen))))

    def undo_all(self) -> None:
        """Undo every fault, the newest first."""
        for fault in reversed(self.faults()):
            self.undo(fault)

    # --- for the plugin ---

    def await_registered(self) -> list[str]:
        """Wait until its spokes have registered, or have had time to; what is missing then, in words."""
        return self._run(registration.all_there(self.lab, self.observer.watch))

    def whole(self) -> bool:
        """Whether every node runs."""
        states = self._run(self.lab.backend.nodes(self.name))
        return len(states) == len(self.plan.nodes) and all(state.running for state in states)

    def observe(self, capture: Sequence[str] | None) -> None:
        """Look at it from now on; `capture` names the routers whose NBMA links are captured, None means all.

        Raises UsageError for a router that has none.
        """
        self.release()
        self.capture = capture
        self._observation = Observation(self.lab, capture)
        self._observer = self._loop.run(self._observation.start())

    def release(self) -> None:
        """Stop looking at it; the lab runs on."""
        if self._observer is not None:
            self._observer = None
            self._loop.run(self._observation.stop())

    def down(self) -> None:
        """Remove it."""
        self.release()
        self._loop.run(controller.down(self.name))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine of the lab side, such as those of `lab`."""
        return self._run(work)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def _recover(self, lines: tuple[Line, ...]) -> tuple[Step, ...]:
        return self._run(_follow(self.lab, self.observer, lines))

    async def _results(self, check: checks.Check) -> list[CheckResult]:
        return [result async for result in check.run(self.lab, self.observer.watch)]


def _silent(*_: object) -> None:
    """A test hears of a run by its result."""


def _require(results: Sequence[CheckResult]) -> None:
    failed = [result for result in results if not result.passed]
    if failed:
        raise CheckFailed(failed)


async def _follow(lab: RunningLab, observer: Observer, lines: tuple[Line, ...]) -> tuple[Step, ...]:
    steps = [step for line in lines async for step in convergence.recovery(lab, observer.watch, line)]
    return tuple(steps)


async def _moved(lab: RunningLab, lines: tuple[Line, ...]) -> list[CheckResult]:
    return [result for line in lines for result in await convergence.moved(lab, line)]
