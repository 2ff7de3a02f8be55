"""Certificates that are not valid now, although SAs that they once proved live on.

IKE looks at a certificate when it authenticates, and at no other time: new keys of an SA need none.
So a tunnel goes on when a certificate runs out, and does not come back from whatever ends its IKE SA.
"""

from __future__ import annotations

from datetime import UTC, datetime

from dmvpn_lab.render.credentials import CERTIFICATE
from dmvpn_lab.running import RunningLab


async def warning(lab: RunningLab, *nodes: str) -> str:
    """What is wrong with the routers' own certificates; empty when they are valid, or not there."""
    told = [each for node in nodes if (each := await _of(lab, node))]
    return f"{'; '.join(told)}: the next IKE authentication will be refused" if told else ""


async def _of(lab: RunningLab, node: str) -> str:
    done = await lab.exec(node, "cat", CERTIFICATE)
    return judged(node, done.stdout, datetime.now(UTC)) if done.exit_code == 0 else ""


def judged(node: str, pem: str, now: datetime) -> str:
    """What is wrong with a certificate at that time; empty when nothing is."""
    from cryptography import x509  # a large library, which other labs do not need

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return f"{node}'s {CERTIFICATE} is no certificate"
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        return f"{node}'s certificate expired at {end:%Y-%m-%d %H:%M:%S} UTC"
    return f"{node}'s certificate is valid from {begin:%Y-%m-%d %H:%M:%S} UTC only" if now < begin else ""
