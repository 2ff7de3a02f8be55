"""The `dmvpn-lab` command: runs here, or hands the command to the machine.

Light on purpose: the decision imports neither typer, pydantic nor rich.
"""

from __future__ import annotations

import os
import sys

from dmvpn_lab.errors import EXIT_HOST, EXIT_INTERRUPTED, EXIT_OK, DmvpnLabError, HostError
from dmvpn_lab.host import can_run_labs

COMPLETE = "_DMVPN_LAB_COMPLETE"
INSIDE = "DMVPN_LAB_INSIDE_MACHINE"
IN_MACHINE = "DMVPN_LAB_IN_MACHINE"
"""In the environment it says that labs run in the machine, though this kernel may have all they need."""
WITH_THE_NODES = frozenset(
    {"up", "down", "inspect", "verify", "diagnose", "inject", "show", "exec", "shell", "events",
     "pytest", "adopt", "logs", "capture", "graph", "run", "watch", "workshop"}
)  # fmt: skip
"""Commands that run where the nodes run. All others need no lab, and a mistake needs no machine."""
STARTS = frozenset({"up", "pytest", "adopt", "run"})
"""Those that make the machine run. To all others a machine that does not run has no lab."""
CHECK = "--check"
"""The option of `up` that starts nothing."""
JSON = "--json"
GRAPH_OPTIONS = frozenset({"--format", "--output", "--lab"})
"""Options of `graph` that take the next word."""
PYTEST_FILES = ("conftest.py", "pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")


def main() -> None:
    """Entry point; exits with the documented codes."""
    _open_closed()
    sys.exit(run(sys.argv[1:]))


def _open_closed() -> None:
    """Who was started without standard input, output or error has nobody there, and no file of ours."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def run(argv: list[str]) -> int:
    """Run one command. Returns its exit code; errors of our own tree are printed with their hint."""
    try:
        if _runs_here(argv):
            from dmvpn_lab.cli.commands import run_here

            return run_here(argv)
        return _run_in_machine(argv)
    except DmvpnLabError as error:
        print(f"dmvpn-lab: {error}", file=sys.stderr)
        if error.hint:
            print(f"  what to do: {error.hint}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # what nobody foresaw: a full disk, a folder that may not be written to
        where = f"{error.filename}: " if error.filename else ""
        print(f"dmvpn-lab: {where}{error.strerror or str(error) or type(error).__name__}", file=sys.stderr)
        return EXIT_HOST
    except KeyboardInterrupt:
        print("dmvpn-lab: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _runs_here(argv: list[str]) -> bool:
    """What stands after `--` is for a program in a node."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    if not words or "--help" in words or words[0] not in WITH_THE_NODES or words[:2] == ["run", "--list"]:
        return True
    if words[0] == "workshop" and words[1:2] not in (["observe"], ["running"]):
        return True  # it keeps the learner's progress here, and hands the rest over by itself
    if words[0] == "watch" and JSON not in words:
        return True  # it draws here, and lets `watch --json` follow the nodes
    if words[0] == "up" and CHECK in words:
        return True
    if words[0] == "graph" and _names_a_topology(words[1:]):
        return True
    if any(name in os.environ for name in (INSIDE, COMPLETE)):
        return True
    if IN_MACHINE not in os.environ and can_run_labs():
        return True
    return words[0] not in STARTS and os.geteuid() == 0 and not _machine_runs()


def _machine_runs() -> bool:
    from dmvpn_lab.machine import vm

    return vm.find() is not None


def _names_a_topology(words: list[str]) -> bool:
    """Whether `graph` is to draw a topology, not a running lab: a word that no option takes."""
    return any(
        not word.startswith("-") and (i == 0 or words[i - 1] not in GRAPH_OPTIONS)
        for i, word in enumerate(words)
    )


def _run_in_machine(argv: list[str]) -> int:
    from dmvpn_lab.machine import client, vm
    from dmvpn_lab.machine.progress import Steps

    if os.geteuid() != 0:
        raise HostError("labs need root", hint="run the same command with sudo")
    if argv[0] == "up" and not _machine_runs() and (code := _check(argv)) != EXIT_OK:
        return code
    if argv[0] == "adopt":
        _check_adopted(argv[1:])
    brought = _of_a_scenario(argv) if argv[0] == "run" else []
    steps = Steps()
    if argv[0] in STARTS:
        steps("this kernel has no GRE or ESP: the lab runs in the machine, a small VM")
    with steps.alive():
        running = vm.ensure(steps)
    if argv[0] == "pytest":  # a program of the machine: what it writes here comes back
        from dmvpn_lab import artefacts

        artefacts.clear(artefacts.named(argv[1:]))  # what ends in the machine does not end here
        suite = ["python3", "-m", "pytest", "-p", "dmvpn_lab.pytest_plugin", *argv[1:]]
        return client.run(running.port, running.token, None, suite, _brought(argv))
    return client.run(running.port, running.token, "dmvpn_lab", argv, brought)


def _check(argv: list[str]) -> int:
    """What is wrong with the words or the topology of `up` is told here, before any machine starts."""
    from dmvpn_lab.cli.commands import run_here

    return run_here(["up", CHECK, *argv[1:]])


def _check_adopted(words: list[str]) -> None:
    """A folder without a rendered lab is told here, before all that it has travels into the machine."""
    from pathlib import Path

    from dmvpn_lab.backends.containerlab import read_directory

    for word in words:
        if not word.startswith("-"):
            read_directory(Path(word))


def _of_a_scenario(argv: list[str]) -> list[str]:
    """The topologies that scenario files name. A wrong file is told here, before any machine starts."""
    if any(word.partition("=")[0] == "--random" for word in argv):
        return []
    from pathlib import Path

    from dmvpn_lab.scenario.load import read

    files = [Path(word) for word in argv[1:] if word.endswith((".yml", ".yaml")) and Path(word).is_file()]
    return [str(read(file).topology) for file in files]


def _brought(argv: list[str]) -> list[str]:
    """Files that a suite reads without their being named: its configuration, or all of it."""
    named = [word.partition("::")[0] for word in argv[1:]]
    tests = [n for n in named if os.path.isdir(n) or (n.endswith(".py") and os.path.exists(n))]
    return [*tests, *PYTEST_FILES] if tests else ["."]


if __name__ == "__main__":
    main()
