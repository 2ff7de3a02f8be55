"""What holds for all tests."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# How long an example takes says how busy the processors are, not whether it is right.
settings.register_profile("dmvpn-lab", deadline=None)
settings.load_profile("dmvpn-lab")

# A shell that starts the tests in the background, or nohup, has them ignore what Ctrl-C and a closed
# terminal send; so would every program that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for each in (signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(each) is signal.SIG_IGN:
        signal.signal(each, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="module")
def _complaints_are_of_this_module() -> Iterator[None]:
    """What was left open is complained of when it is collected: here, and not in some later module's test."""
    yield
    gc.collect()
