"""A campaign: `python -m tests.fuzz decode --runs 10000000`.

With atheris (`pip install atheris`) libFuzzer follows the coverage of the codecs and cores; without it, or
with `--engine mutate`, packets are mutated blindly, from a seed, which is slower to get far.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import sys
import time
from typing import Any

SAY_EVERY = 250_000
TARGETS = ("decode", "agent", "transit", "spoke", "eigrp-decode", "eigrp-speaker", "cdp-decode", "odr-hub")
"""Not taken from `targets`: what that imports must be instrumented first."""
PACKAGES = ["dmvpn_lab.nhrp", "dmvpn_lab.eigrp", "dmvpn_lab.odr"]


def main() -> int:
    """Run a campaign. A failure is printed with the octets that cause it, and the exit code is not 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("atheris", "mutate"), default=None)
    asked = parser.parse_args()
    able = importlib.util.find_spec("atheris") is not None
    if asked.engine == "atheris" and not able:
        parser.error("atheris is not installed: pip install atheris")
    if asked.engine == "mutate" or not able:
        return mutate(asked.target, asked.runs, asked.seed)
    return follow_coverage(asked.target, asked.runs, asked.seed)


def mutate(name: str, runs: int, seed: int) -> int:
    """Blind mutation of sound packets."""
    from tests.fuzz import targets

    subject = targets.subject(name)
    rng, target, seeds = random.Random(seed), subject.make(), subject.seeds
    began = time.monotonic()
    for run in range(1, runs + 1):
        data = targets.mutated(rng.choice(seeds), rng, subject.repair)
        try:
            target(data)
        except Exception:
            print(f"run {run}: {data.hex()}", file=sys.stderr)
            raise
        if run % SAY_EVERY == 0 or run == runs:
            print(f"{run} runs, {run / (time.monotonic() - began):.0f} a second", flush=True)
    return 0


def follow_coverage(name: str, runs: int, seed: int) -> int:
    """libFuzzer; it writes what fails into a file `crash-...` and ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz import targets

    subject = targets.subject(name)
    target, seeds = subject.make(), subject.seeds

    def mutator(data: bytes, max_size: int, number: int) -> bytes:
        """libFuzzer's own mutation, or ours of a sound packet, with the sums made right."""
        rng = random.Random(number)
        if len(data) < 4 or rng.random() < 0.2:
            return targets.mutated(rng.choice(seeds), rng, subject.repair)[:max_size]
        changed: bytes = atheris.Mutate(data, len(data))
        return subject.repair(changed)[:max_size]

    argv = [sys.argv[0], f"-runs={runs}", f"-seed={seed}", "-max_len=1500", "-print_final_stats=1"]
    atheris.Setup(argv, target, custom_mutator=mutator)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
