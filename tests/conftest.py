"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says how busy the processors are, not whether it is right.
settings.register_profile("dmvpn-lab", deadline=None)
settings.load_profile("dmvpn-lab")
