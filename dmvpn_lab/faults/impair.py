"""`inject impair`: a router's line gets slow, lossy or narrow, in both directions (netem)."""

from __future__ import annotations

from dataclasses import dataclass

from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.faults.base import Injected, Line, forget, in_force, record
from dmvpn_lab.running import RunningLab

NAME = "impair"


@dataclass(frozen=True, slots=True)
class Impairment:
    """How bad a line is, each way."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    rate_kbps: int = 0
    """0: as fast as the host."""

    def words(self) -> list[str]:
        """What `tc ... netem` takes. Raises UsageError for what it would not, or for nothing."""
        if self.jitter_ms > self.delay_ms:
            raise UsageError("jitter is more than the delay", hint="it varies the delay, both ways")
        words = []
        if self.delay_ms:
            words += ["delay", f"{self.delay_ms:g}ms"]
            words += [f"{self.jitter_ms:g}ms"] if self.jitter_ms else []
        words += ["loss", f"{self.loss_percent:g}%"] if self.loss_percent else []
        words += ["rate", f"{self.rate_kbps}kbit"] if self.rate_kbps else []
        if not words:
            raise UsageError("nothing to impair", hint="such as --delay 50 --loss 1 --rate 2000")
        return words


async def inject(lab: RunningLab, node: str, impairment: Impairment) -> Injected:
    """Impair both ends of the NBMA line. Raises UsageError; LabError when the kernel has no netem."""
    words = impairment.words()
    lab.router(node)
    if any((f.fault, f.node) == (NAME, node) for f in in_force(lab)):
        raise UsageError(f"{node}'s line is impaired already", hint="undo that first: dmvpn-lab inject undo")
    access = next(a for a in lab.plan.access if a.router == node)
    near = lab.plan.node(node).nbma_interface().name
    ends = [[node, near], [access.provider, access.isp_interface]]
    injected = record(lab, NAME, node, f"{node}'s line: {' '.join(words)}, each way", {"ends": ends})
    for where, interface in ends:
        done = await lab.exec(where, "tc", "qdisc", "replace", "dev", interface, "root", "netem", *words)
        if done.exit_code != 0:
            await undo(lab, injected)
            raise LabError(
                f"{where}: tc: {done.stderr.strip()}", hint="the kernel needs the module sch_netem"
            )
    return injected


async def undo(lab: RunningLab, fault: Injected) -> tuple[Line, ...]:
    """The line is as it was; no address changed, so there is none to follow."""
    for where, interface in fault.undo["ends"]:
        await lab.exec(where, "tc", "qdisc", "delete", "dev", interface, "root")  # none there is no error
    forget(lab, fault.number)
    return ()
