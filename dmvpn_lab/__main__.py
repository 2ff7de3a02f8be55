"""The `dmvpn-lab` command: runs here, or hands the command to the machine.

Light on purpose: the decision imports neither typer, pydantic nor rich.
"""

from __future__ import annotations

import os
import sys

from dmvpn_lab.errors import EXIT_INTERRUPTED, DmvpnLabError, HostError
from dmvpn_lab.host import can_run_labs

ON_THIS_HOST = frozenset({"doctor", "machine", "schema", "--help", "--version", "--install-completion",
                          "--show-completion"})  # fmt: skip
"""Commands that need no lab; all others run where the nodes run."""


def main() -> None:
    """Entry point; exits with the documented codes."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run one command. Returns its exit code; errors of our own tree are printed with their hint."""
    try:
        if _runs_here(argv):
            from dmvpn_lab.cli.app import run_here

            return run_here(argv)
        return _run_in_machine(argv)
    except DmvpnLabError as error:
        print(f"dmvpn-lab: {error}", file=sys.stderr)
        if error.hint:
            print(f"  what to do: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("dmvpn-lab: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _runs_here(argv: list[str]) -> bool:
    if not argv or "--help" in argv or "DMVPN_LAB_INSIDE_MACHINE" in os.environ:
        return True
    return argv[0] in ON_THIS_HOST or "_DMVPN_LAB_COMPLETE" in os.environ or can_run_labs()


def _run_in_machine(argv: list[str]) -> int:
    from dmvpn_lab.machine import client, vm

    if os.geteuid() != 0:
        raise HostError("labs need root", hint="run the same command with sudo")
    running = vm.ensure(say)
    how = "KVM" if running.accelerator == "kvm" else "emulated"
    say(f"this kernel has no GRE: running in the machine (QEMU, {how})")
    return client.run(running.port, running.token, "dmvpn_lab", argv)


def say(text: str) -> None:
    """One line of progress, apart from what the command prints."""
    print(f"dmvpn-lab: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
