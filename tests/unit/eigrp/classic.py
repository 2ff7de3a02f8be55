"""The metric of what has a classic one, for tests that use no wide metrics."""

from __future__ import annotations

from dmvpn_lab.eigrp.config import InterfaceConfig
from dmvpn_lab.eigrp.metric import Metric
from dmvpn_lab.eigrp.tlv import Route


def classic(of: Route | InterfaceConfig) -> Metric:
    """Fails on a wide one."""
    assert isinstance(of.metric, Metric)
    return of.metric
