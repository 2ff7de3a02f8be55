"""What a process keeps of its rights, as its kernel tells: of itself, and of a program that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


FIRST = """
import sys
from pathlib import Path
from dmvpn_lab.node import init, mounted, standalone
here = Path(sys.argv[1])
init.LOGS, standalone.TUNNEL, standalone.agent.DEFAULT_CONFIG = here, here / "none", here / "agent.json"
standalone.config.PATH, mounted.install = here / "none", lambda: 0
sys.exit(init.main())
"""
"""The first process of a container, with its files elsewhere."""


@pytest.mark.program("setpriv")
@pytest.mark.parametrize(
    ("tunnel", "code", "words"),
    [
        ('{"address": "10.0.0.1/24"}', 3, "this container lacks NET_ADMIN (docker run --cap-add NET_ADMIN"),
        ('{"adress": "10.0.0.1/24"}', 2, "DMVPN_TUNNEL: there is no key 'adress'; did you mean 'address'?"),
    ],
)
def test_a_container_without_net_admin_ends_and_says_how_it_gets_it_after_what_else_is_wrong(
    tmp_path: Path, tunnel: str, code: int, words: str
) -> None:
    argv = ["setpriv", "--bounding-set=-net_admin", "--", sys.executable, "-c", FIRST, str(tmp_path)]
    environment = os.environ | {"DMVPN_TUNNEL": tunnel}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"dmvpn-node: {words}")
    assert len(done.stderr.splitlines()) == 1
