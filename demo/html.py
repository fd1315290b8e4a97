"""The report as one HTML page that needs nothing else: counts, latencies, throughput, positions, proof."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING

import pygal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from demo.report import Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem; text-align: right }
th { border-bottom: 1px solid #999 } td:first-child, th:first-child { text-align: left }
code { font-size: 13px } .yes { color: #17733a } .no { color: #b00020; font-weight: bold } figure { margin: 1rem 0 }
"""
_BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
"""A latency above the last is counted beside them."""
_POINTS_MAX = 120
"""Of a line: a run that is resumed after a day is not a page of a day's seconds."""


def write_page(report: Report, folder: Path) -> Path:
    """Write ``report`` into ``folder``, and return the page."""
    page = folder / "report.html"
    page.write_text(_page(report), encoding="utf-8")
    return page


def _page(report: Report) -> str:
    outcomes = [("submitted", report.submitted), *report.outcomes.items(), ("in flight", report.in_flight)]
    latencies = [(name, *points.values()) for name, points in report.latency_ms.items()]
    positions = [(str(p.cycle), p.account, f"{p.net_minor:,}") for p in report.positions if p.net_minor]
    proof = [
        (v.name, v.position, v.records, _hex(v.live_head), _hex(v.replayed_head), _mark(v.equal))
        for v in report.verdicts
    ]
    sums = sorted(report.positions_sum.items())
    restarts = ", ".join(f"{name} {count}" for name, count in report.restarts.items())
    began = datetime.fromtimestamp(report.began_us // 1_000_000, UTC)
    parts = [
        "<h1>Instant payments on ordered streams</h1>",
        f"<p>{began:%Y-%m-%d %H:%M:%S} UTC: {report.seconds:.1f} s, {report.tps:.0f} payments/s submitted.</p>",
        f"<p>Seed {report.seed}, {report.shards} shards, restarts: {escape(restarts or 'none')}.</p>",
        _table(("", "records"), outcomes),
        _table(("in limbo", "minor units"), [(currency, f"{n:,}") for currency, n in report.limbo_minor.items()]),
        f"<p>Every record accounted for: {_mark(report.accounted)}.</p>",
        f"<p>Conserved: {_mark(report.conserved)}. Replay equals live: {_mark(report.replay_equal)}.</p>",
        "<h2>Latency</h2>",
        _table(("milliseconds", "p50", "p95", "p99", "max"), latencies),
        _figure(_latency_chart(report)),
        "<h2>Settled a second</h2>",
        _figure(_throughput_chart(report.settled_per_second)),
        "<h2>Replay</h2>",
        _table(("shard", "position", "records", "live head", "replayed head", "equal"), proof),
        "<h2>Net positions</h2>",
        _table(("currency", "sum, minor units"), sums),
        _table(("cycle", "account", "net, minor units"), positions),
    ]
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>Payments</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en">{head}{body}</html>'


def _latency_chart(report: Report) -> pygal.Bar:
    chart = pygal.Bar(height=300, x_title="up to milliseconds", js=(), show_legend=True)
    chart.x_labels = [*(f"{bound:,}" for bound in _BUCKETS_MS), "more"]
    chart.add("decision", _histogram(report.decision_ms))
    chart.add("settled", _histogram(report.settled_ms))
    return chart


def _throughput_chart(per_second: Sequence[int]) -> pygal.Line:
    seconds = max(1, -(-len(per_second) // _POINTS_MAX))
    firsts = range(0, len(per_second), seconds)
    chart = pygal.Line(
        height=300,
        x_title="second of the run",
        js=(),
        show_legend=False,
        x_labels_major_count=10,
        show_minor_x_labels=False,
    )
    chart.x_labels = [str(first) for first in firsts]
    chart.add("settled", [fmean(per_second[first : first + seconds]) for first in firsts])
    return chart


def _histogram(values_ms: Iterable[float]) -> list[int]:
    counts = [0] * (len(_BUCKETS_MS) + 1)
    for value in values_ms:
        counts[bisect_left(_BUCKETS_MS, value)] += 1
    return counts


def _figure(chart: pygal.Bar | pygal.Line) -> str:
    return f"<figure>{chart.render(is_unicode=True, disable_xml_declaration=True)}</figure>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _cell(cell: object) -> str:
    text = str(cell)
    return f"<td>{text if text.startswith('<') else escape(text)}</td>"


def _hex(digest: bytes) -> str:
    return f"<code>{digest.hex()[:16]}</code>"


def _mark(good: bool) -> str:  # noqa: FBT001 - a word for a bool
    return '<span class="yes">yes</span>' if good else '<span class="no">NO</span>'
