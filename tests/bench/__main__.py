"""`python -m tests.bench [--json FILE] [--quick]`: measures, prints the table, writes the JSON.

The codec and the core are measured here; what needs GRE runs where labs run, here or in the
machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from dmvpn_lab.host import can_run_labs
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
        found = _live(live, _options(chosen))
        host["live"] = found["host"] | {"machine": not can_run_labs()}
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


def _live(parts: list[str], options: list[str]) -> dict[str, Any]:
    """The figures of the live parts. Raises SystemExit when they could not be had."""
    module = ["-m", "tests.bench.live", *(word for part in parts for word in ("--part", part))]
    module += options
    argv = [sys.executable, *module]
    if not can_run_labs():
        say("this kernel has no GRE: the live parts run in the machine")
        argv = [
            str(Path(sys.executable).with_name("dmvpn-lab")),
            "machine",
            "shell",
            "--",
            "python3",
            *module,
        ]
    done = subprocess.run(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
