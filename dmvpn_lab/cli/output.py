"""What the command line prints: rich on a terminal, plain lines elsewhere, JSON on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dmvpn_lab.files import write_whole

if TYPE_CHECKING:  # every command prints, and few print these
    from dmvpn_lab.checks import CheckResult
    from dmvpn_lab.scenario.timeline import Timeline
    from dmvpn_lab.spec.plan_types import Plan

WIDE = 160
"""Columns of a table that is not on a terminal."""


def console() -> Console:
    """Standard output."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table; a header alone when there are no rows."""
    heading = None if title is None else Text(title)
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(each) for each in row))
    console().print(table)


def _cell(value: object) -> Text:
    """As it is: what a node printed may look like rich's markup."""
    return value if isinstance(value, Text) else Text("" if value is None else str(value))


class Progress:
    """Lines on standard error, each with the seconds since the beginning."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._began = time.monotonic()

    def __call__(self, phase: str, detail: str) -> None:
        if not self._quiet:
            print(
                f"  {time.monotonic() - self._began:5.1f} s  {phase}: {detail}", file=sys.stderr, flush=True
            )


def results_document(plan: Plan, results: Sequence[CheckResult]) -> dict[str, Any]:
    """What `verify --json` prints."""
    return {
        "lab": plan.lab,
        "left_out": list(plan.left_out),
        "passed": all(result.passed for result in results),
        "checks": [asdict(result) for result in results],
    }


def print_results(plan: Plan, results: Sequence[CheckResult]) -> None:
    """The verified table, and whether it is of all the lab."""
    rows = (
        (
            Text("pass", "green") if r.passed else Text("FAIL", "red"),
            r.name,
            r.node,
            r.expected,
            r.observed,
            f"{r.waited_s:.1f} s",
        )
        for r in results
    )
    print_table(("", "check", "node", "expected", "observed", "waited"), rows)
    lab = f"{plan.lab} without {', '.join(plan.left_out)}" if plan.left_out else plan.lab
    failed = sum(not result.passed for result in results)
    if failed:
        console().print(Text(f"{lab}: {failed} of {len(results)} checks failed", "red"))
    else:
        console().print(Text(f"{lab}: verified, {len(results)} checks passed", "green"))


def write_junit(path: Path, lab: str, results: Sequence[CheckResult]) -> None:
    """The results as JUnit XML; whole or not at all. Raises HostError."""
    failures = sum(not result.passed for result in results)
    suite = ElementTree.Element(
        "testsuite",
        name=lab,
        tests=str(len(results)),
        failures=str(failures),
        errors="0",
        time=f"{sum(result.waited_s for result in results):.2f}",
    )
    for result in results:
        name = _xml(f"{result.name}: {result.expected}")
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{lab}.{result.node}", name=name, time=f"{result.waited_s:.2f}"
        )
        if not result.passed:
            observed = _xml(result.observed)
            failure = ElementTree.SubElement(case, "failure", message=f"observed: {observed}")
            failure.text = f"expected: {_xml(result.expected)}\nobserved: {observed}"
    write_xml(path, suite)


def write_timeline_junit(path: Path, timeline: Timeline) -> None:
    """A scenario's steps as JUnit XML; whole or not at all. Raises HostError."""
    from dmvpn_lab.scenario.timeline import verdict_words

    steps = timeline.steps
    failed = sum(step.verdict in ("failed", "already") for step in steps)
    left_out = sum(step.verdict == "not run" for step in steps)
    suite = ElementTree.Element(
        "testsuite",
        name=timeline.scenario,
        tests=str(len(steps)),
        failures=str(failed),
        errors="0",
        skipped=str(left_out),
        time=f"{sum(step.after_s or 0.0 for step in steps):.2f}",
    )
    for step in steps:
        name = _xml(f"{step.number:02} {step.kind}: {step.what}")
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{timeline.lab}.{timeline.scenario}", name=name,
            time=f"{step.after_s or 0.0:.3f}",
        )  # fmt: skip
        if step.verdict == "not run":
            ElementTree.SubElement(case, "skipped", message="an earlier step failed")
        elif step.verdict != "passed":
            words = _xml(verdict_words(step))
            ElementTree.SubElement(case, "failure", message=words, type=step.verdict).text = words
    write_xml(path, suite)


def write_xml(path: Path, root: ElementTree.Element) -> None:
    """An XML file; whole or not at all. Raises HostError."""
    write_whole(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True))


def _xml(text: str) -> str:
    """Without the control characters that XML has no way to write."""
    return "".join(
        each if each.isprintable() or each in "\t\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )
