"""Does the acts of a scenario, and keeps what has to be taken back."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from dmvpn_lab import faults
from dmvpn_lab.errors import DmvpnLabError, LabError
from dmvpn_lab.faults import base, registry
from dmvpn_lab.running import RunningLab
from dmvpn_lab.scenario import model
from dmvpn_lab.scenario.model import Act

NOT_RUN = (126, 127)
"""Exit codes of a command that could not be run at all."""
Open = int | tuple[str, tuple[str, ...]]
"""The number of a fault in force, or a node and the command that restores it."""


class Acts:
    """The acts of one run."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab = lab
        self._open: list[Open] = []

    async def do(self, act: Act) -> tuple[str, bool]:
        """Do it. Returns what was done, and whether addresses may be leased anew. Raises LabError."""
        match act:
            case model.Inject():
                return await self._inject(act)
            case model.Trigger():
                return await self._trigger(act), act.restore is not None
            case model.Clear():
                await self._lab.query(act.clear, "clear")
                return "done", False
            case model.Undo():
                return await self._undo(every=act.undo == "all")

    async def take_back_all(self, say: Callable[[str], None]) -> list[str]:
        """What still lasts, the newest first; in words. Goes on after one that cannot be taken back."""
        done = []
        self._open += self._unlisted()
        while self._open:
            try:
                done.append((await self._take_back(self._open.pop()))[0])
            except DmvpnLabError as error:
                done.append(f"could not be undone: {error.message}")
            say(done[-1])
        return done

    def _unlisted(self) -> list[int]:
        """Faults that were cut off while they were done."""
        return [each.number for each in base.in_force(self._lab) if each.number not in self._open]

    async def _inject(self, act: model.Inject) -> tuple[str, bool]:
        kind = registry.kind(act.inject)
        what = await kind.inject(self._lab, act.node, act.options)
        self._open += self._unlisted()
        return what, kind.lasting

    async def _trigger(self, act: model.Trigger) -> str:
        if act.restore is not None:
            self._open.append((act.node, act.restore))
        done = await self._lab.exec(act.node, *act.trigger)
        said = (done.stderr or done.stdout).strip().splitlines()
        last = said[-1] if said else "no word"
        if done.exit_code in NOT_RUN or (done.exit_code and not act.may_fail):
            raise LabError(f"exit code {done.exit_code}: {last}")
        return f"exit code {done.exit_code}: {last}"

    async def _undo(self, *, every: bool) -> tuple[str, bool]:
        done, moved = [], False
        for _ in range(len(self._open) if every else 1):
            said, leases = await self._take_back(self._open.pop())
            done.append(said)
            moved = moved or leases
        return "; ".join(done), moved

    async def _take_back(self, last: Open) -> tuple[str, bool]:
        """Raises DmvpnLabError."""
        if isinstance(last, int):
            fault = next(each for each in base.in_force(self._lab) if each.number == last)
            lines = await faults.undo(self._lab, fault)
            return f"undone: {fault.what}", bool(lines)
        node, argv = last
        await self._lab.must(node, *argv)
        return f"{node}: {shlex.join(argv)}", True
