"""What a process keeps of its rights, as its kernel tells: of itself, and of a program that it starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dmvpn_lab.rights import CAPABILITIES

LISTED = sum(1 << number for number in CAPABILITIES.values())
SCRIPT = """
import subprocess
from dmvpn_lab.rights import CAPABILITIES
from dmvpn_lab.node.capabilities import keep
keep(CAPABILITIES.values())
print(open("/proc/self/status").read(), subprocess.check_output(["cat", "/proc/self/status"], text=True))
"""


def sets(*before: str) -> dict[str, list[int]]:
    """Set -> what it is in the process, and in the program that it has started."""
    argv = [*before, sys.executable, "-c", SCRIPT]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[int]] = {}
    for line in said.splitlines():
        if line.strip().startswith("Cap"):
            name, value = line.split()
            found.setdefault(name.rstrip(":"), []).append(int(value, 16))
    return found


@pytest.mark.program("setpriv")
def test_only_what_is_listed_is_kept_also_by_programs_that_are_started() -> None:
    found = sets("setpriv", "--bounding-set=+all")
    for name in ("CapPrm", "CapEff", "CapBnd"):
        own, started = found[name]
        assert own == started == own & LISTED, name
        assert own & 1 << CAPABILITIES["NET_ADMIN"], name


@pytest.mark.program("setpriv")
def test_what_the_container_may_not_take_from_its_programs_is_left_to_them() -> None:
    own, started = sets("setpriv", "--bounding-set=-setpcap")["CapPrm"]
    assert own & ~LISTED == 0
    assert started & ~LISTED
