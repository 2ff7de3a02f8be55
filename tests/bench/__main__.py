"""`python -m tests.bench [--json FILE] [--quick]`: measures, prints the table, writes the JSON.

The codec and the core are measured here; what needs GRE runs where labs run, here or in the
machine. With `--icount` that is an emulated machine of its own, of one processor, whose clock goes
on by a nanosecond with each instruction: a CPU second there is 10^9 instructions, which no load of
the host makes more or fewer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dmvpn_lab.host import can_run_labs
from dmvpn_lab.machine.qemu import COUNTING
from tests.bench import codec, core
from tests.bench.figures import Figure, document, say, show
from tests.bench.live import PARTS

TOP = Path(__file__).resolve().parent.parent.parent
NATIVE = ("codec", "core")


def main() -> int:
    """Entry point; the exit code tells whether the figures are there, not whether they are good."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures of dmvpn-lab.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write them there, too")
    parser.add_argument("--quick", action="store_true", help="fewer spokes and runs: does it work at all")
    parser.add_argument("--part", action="append", choices=(*NATIVE, *PARTS), help="this one only")
    parser.add_argument("--spokes", action="append", type=int, metavar="N",
                        help="of part `backends`: labs of this size (3, 10 and 50)")  # fmt: skip
    parser.add_argument("--backend", action="append", metavar="NAME", help="and on this backend (all)")
    parser.add_argument("--icount", action="store_true",
                        help="in a machine that counts instructions, not time: 1 s is 10^9")  # fmt: skip
    chosen = parser.parse_args()
    parts = chosen.part or (*NATIVE, *PARTS)
    figures: list[Figure] = []
    if "codec" in parts:
        figures += codec.measure(0.2 if chosen.quick else 1.0)
    if "core" in parts:
        figures += core.measure((200,) if chosen.quick else (500, 2000))
    host: dict[str, Any] = {"kernel": platform.release(), "python": platform.python_version()}
    live = [part for part in PARTS if part in parts]
    if live:
        machine = chosen.icount or not can_run_labs()
        with counting() if chosen.icount else contextlib.nullcontext(os.environ) as environment:
            found = _live(live, _options(chosen), environment, machine=machine)
        host["live"] = found["host"] | {"machine": machine, "icount": chosen.icount}
        figures += [Figure(**figure) for figure in found["figures"]]
    show(figures)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(document(figures, host), indent=2) + "\n")
    return 0


def _options(chosen: argparse.Namespace) -> list[str]:
    """What the live parts are told."""
    options = ["--quick"] if chosen.quick else []
    options += [word for count in chosen.spokes or () for word in ("--spokes", str(count))]
    return options + [word for name in chosen.backend or () for word in ("--backend", name)]


@contextlib.contextmanager
def counting() -> Iterator[Mapping[str, str]]:
    """The environment of a machine that counts instructions; it ends with the measurement.

    What is idle costs its host a whole processor: it hurries from timer to timer.
    """
    name = os.environ.get("DMVPN_LAB_MACHINE", "default") + "-icount"
    environment = os.environ | {"DMVPN_LAB_MACHINE": name, COUNTING: "1"}
    try:
        yield environment
    finally:
        argv = [_command(), "machine", "stop"]
        subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, check=False)


def _command() -> str:
    return str(Path(sys.executable).with_name("dmvpn-lab"))


def _live(
    parts: list[str], options: list[str], environment: Mapping[str, str], *, machine: bool
) -> dict[str, Any]:
    """The figures of the live parts. Raises SystemExit when they could not be had."""
    module = ["-m", "tests.bench.live", *(word for part in parts for word in ("--part", part)), *options]
    argv = [sys.executable, *module]
    if machine:
        say("the live parts run in the machine")
        argv = [_command(), "machine", "shell", "--", "python3", *module]
    done = subprocess.run(argv, cwd=TOP, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=False)  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
