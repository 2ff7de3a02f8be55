"""`diagnose`: the first broken link between each spoke and hub."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import Json, LabName
from dmvpn_lab.diagnosis import Finding, diagnose
from dmvpn_lab.errors import EXIT_CHECK_FAILED
from dmvpn_lab.running import RunningLab


def command(lab: LabName = None, json: Json = False) -> None:
    """Name the first broken link of each spoke, from the underlay to the LANs, with the evidence."""
    findings = asyncio.run(find(controller.find(lab)))
    if json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        show(findings)
    raise typer.Exit(EXIT_CHECK_FAILED if any(finding.broken for finding in findings) else 0)


async def find(lab: RunningLab) -> list[Finding]:
    """Every finding of a lab."""
    return [finding async for finding in diagnose(lab)]


def show(findings: Sequence[Finding]) -> None:
    """The findings as lines."""
    for each in findings:
        where = f"{each.spoke} - {each.hub} ({each.cloud})"
        if not each.broken:
            print(f"{where}: every link holds")
            if each.warning:
                print(f"    but: {each.warning}")
            continue
        print(f"{where}: first broken link: {each.link}")
        print(f"    evidence: {each.evidence}")
        print(f"    look at:  {each.look_at}")
