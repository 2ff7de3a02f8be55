"""In the machine no lab is the first, or the last, to need what the kernel changes its own code for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs
from tests.live import labs

pytestmark = pytest.mark.live

PROBE = "p:first_users __jump_label_update key=%di:symbol"
"""The kernel's function that writes over its code, with the static key that it does it for."""
ONCE = "___once_key"
"""Of what is done once in the kernel's life."""


@pytest.fixture
def changed_for(tmp_path: Path) -> Iterator[Callable[[], set[str]]]:
    """The keys that were turned since the test began."""
    trace = tmp_path / "trace"
    trace.mkdir()
    subprocess.run(["mount", "-t", "tracefs", "trace", str(trace)], check=True)
    probes, enable = trace / "kprobe_events", trace / "events/kprobes/first_users/enable"
    try:
        probes.write_text(PROBE)
        enable.write_text("1")
        yield lambda: set(re.findall(r"key=([\w.]+)", (trace / "trace").read_text()))
        enable.write_text("0")
    finally:
        probes.write_text("")
        subprocess.run(["umount", str(trace)], check=True)


def test_the_kernel_changes_no_code_for_a_lab(
    changed_for: Callable[[], set[str]], dmvpn_labs: Labs, tmp_path: Path
) -> None:
    path = labs.topology(tmp_path, "ipsec-nat", "test-first-users")
    with dmvpn_labs.running(str(path), "netns", capture=[]) as lab:
        lab.check("registration", "encryption")
        lab.must("hub", "ping", "-c", "1", "10.0.0.11")
    assert {key for key in changed_for() if not key.startswith(ONCE)} == set()
