"""The labs of one test session: started when first asked for, clean again for each test."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from dmvpn_lab import controller
from dmvpn_lab.errors import DmvpnLabError, HostError, UsageError
from dmvpn_lab.host import can_run_labs
from dmvpn_lab.scenario import load
from dmvpn_lab.scenario.timeline import Timeline
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.testing import artefacts
from dmvpn_lab.testing.capture import lines
from dmvpn_lab.testing.lab import LiveLab
from dmvpn_lab.testing.loop import Loop
from dmvpn_lab.testing.traces import told_in_words

__tracebackhide__ = told_in_words
LOG = logging.getLogger("dmvpn_lab")


class Labs:
    """Every lab that this session has up. `topology` and `backend` are what `get()` starts.

    `capture` names the routers whose NBMA links are captured: none, some, or all of them (None).
    """

    def __init__(
        self,
        topology: str,
        backend: str,
        *,
        keep: bool = False,
        capture: Sequence[str] | None = None,
        hold: bool = False,
    ) -> None:
        self.topology = topology
        self.backend = backend
        self.keep = keep
        self.capture = capture
        self._hold = hold
        self._held: list[LiveLab] = []
        """Those whose block has failed, and whose report is perhaps still to be made."""
        self._loop: Loop | None = None
        self._up: dict[str, tuple[tuple[Path, str], LiveLab]] = {}
        """Lab name -> (topology file, backend), lab. Two labs of one name exclude each other."""

    def get(
        self,
        topology: str | None = None,
        backend: str | None = None,
        *,
        capture: Sequence[str] | None = None,
        registered: bool = True,
    ) -> LiveLab:
        """The running lab of a topology on a backend; started if it is not up.

        One of the same name on another backend, or with another content, is taken down first.
        `capture` is for this lab what it is for all, and must fit it: else UsageError. A lab that was not
        up before has its spokes `registered`; if that cannot be it comes after half a minute, and a warning.
        """
        if not can_run_labs():
            raise HostError(
                "this kernel has no GRE or ESP", hint="run the suite in the machine: dmvpn-lab pytest TESTS"
            )
        self._let_go()
        path = controller.find_topology(topology or self.topology)
        key = (path.resolve(), backend or self.backend)
        plan = planner.read(path)
        name = plan.lab
        chosen = self.capture if capture is None else tuple(capture)
        lines(plan, chosen)  # a wrong one is told before it costs a start
        if name in self._up:
            there, lab = self._up[name]
            if there == key:
                if capture is not None and chosen != lab.capture:
                    lab.observe(chosen)
                return lab
            self._drop(name)
        if self._loop is None:
            self._loop = Loop()
        done = self._loop.run(
            controller.up(str(path), key[1], lambda phase, detail: LOG.info("%s: %s", phase, detail))
        )
        lab = LiveLab(done.lab, key[1], self._loop, chosen)
        self._up[name] = (key, lab)
        if registered and (missing := lab.await_registered()):
            LOG.warning("%s: not registered: %s", name, "; ".join(missing))
        return lab

    def scenario(self, name: str, backend: str | None = None) -> Timeline:
        """Run a scenario file, or a bundled one by name, on the lab of its topology.

        Raises ScenarioFailed, or TopologyError for a wrong file.
        """
        loaded = load.read(load.find(name))
        return self.get(str(loaded.topology), backend).scenario(loaded.scenario)

    @contextlib.contextmanager
    def running(
        self,
        topology: str | None = None,
        backend: str | None = None,
        *,
        capture: Sequence[str] | None = None,
        registered: bool = True,
    ) -> Iterator[LiveLab]:
        """A lab as `get` gives it for the length of a block: for a fixture of a module's own.

        With `hold`, a block that fails leaves it up until a test ends or begins, or asks for a lab: the
        report has yet to look at it.
        """
        lab = self.get(topology, backend, capture=capture, registered=registered)
        try:
            yield lab
        except BaseException:
            if self._hold:
                self._held.append(lab)
            else:
                self._end(lab)
            raise
        self._end(lab)

    def up(self) -> list[LiveLab]:
        """The labs that are up."""
        return [lab for _, lab in self._up.values()]

    def before_test(self) -> None:
        """Forget what earlier tests have left: events and packets."""
        self._let_go()
        for lab in self.up():
            lab.observer.begin()

    def after_test(self) -> None:
        """Undo the faults of the test. A lab that cannot be mended is taken down; that is an error."""
        self._let_go()
        for lab in self.up():
            try:
                lab.undo_all()
                if lab.whole():
                    continue
                LOG.warning("%s: a node has ended; the next test gets a new lab", lab.name)
                self._drop(lab.name)
            except DmvpnLabError:
                self._drop(lab.name)
                raise

    def save(self, folder: Path) -> list[str]:
        """Write what there is to know of every lab; what could not be had, in words."""
        problems = []
        for lab in self.up():
            try:
                problems += artefacts.save(lab, folder if len(self._up) == 1 else folder / lab.name)
            except UsageError as error:  # the test took it down itself
                problems.append(str(error))
        return problems

    def close(self) -> list[str]:
        """The session ends: take the labs down, or with `keep` only let go; the names of those kept."""
        kept = list(self._up) if self.keep else []
        for lab in self.up():
            lab.release()
        if not self.keep:
            for name in list(self._up):
                self._drop(name)
        if self._loop is not None:
            self._loop.close()
        return kept

    def _let_go(self) -> None:
        """The report of a block that failed is made."""
        while self._held:
            self._end(self._held.pop())

    def _end(self, lab: LiveLab) -> None:
        """A block is done with its lab."""
        if self._up.get(lab.name, (None, None))[1] is lab and not self.keep:
            self._drop(lab.name)

    def _drop(self, name: str) -> None:
        _, lab = self._up.pop(name)
        lab.down()
