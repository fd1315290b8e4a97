"""What a run shows of itself: while it goes on, at its end, and on its page."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agents.edge.projector_queries import Counts, Limbo
from demo.html import write_page
from demo.lag import ShardLag
from demo.latencies import Latencies, RecentRate
from demo.live import LiveView, print_report
from demo.report import OUTCOMES, CyclePosition, Report
from demo.run import Progress
from replay.verify import ShardVerdict
from tests.virtual_clock import SOME_DAY_US

SECOND_US = 1_000_000
VERDICT = ShardVerdict(
    stage="authorise",
    shard_id="shardId-000000000003",
    position="49590338271490256608559692538361571095921575989136588898.0",
    records=1_234,
    live_head=b"\xab" * 32,
    replayed_head=b"\xab" * 32,
    live_state=b"state",
    replayed_state=b"state",
    left_out=0,
)
REPORT = Report(
    began_us=SOME_DAY_US,
    seed=7,
    shards=4,
    seconds=20.0,
    submitted=10,
    outcomes={**dict.fromkeys(OUTCOMES, 0), "settled": 9, "limbo": 1},
    in_flight=0,
    limbo_minor={"GBP": 123_456},
    tps=500.0,
    latency_ms={what: dict.fromkeys(("p50", "p95", "p99", "max"), 1.0) for what in ("decision", "settled")},
    positions=[CyclePosition(0, "A", "GBP", 5), CyclePosition(0, "B", "GBP", -5)],
    settled_nets={(0, "A"): 5, (0, "B"): -5},
    verdicts=[VERDICT],
    restarts={"links": 2},
)
PROGRESS = Progress(
    seconds=12.6,
    counts=Counts(6_000, 5_000, 100, 10, 100, 5, 50, 20),
    limbo=[Limbo("EUR", 3, 100, 0), Limbo("GBP", 4, 200, 0)],
    submitted_per_second=499.6,
    settled_per_second=471.2,
    decision=Latencies([8.0]),
    settled=Latencies(),
    lags=[
        ShardLag("control", "shardId-000000000000", 0, 0.0, 0),
        *(ShardLag(stage, f"shardId-{n:012}", n, 10.0 * n, 0) for stage in ("authorise", "settle") for n in range(4)),
    ],
    restarts=0,
    phase="submitting",
)


def shown(progress: Progress, *, terminal: bool) -> list[str]:
    """Return the lines that 80 columns and 24 lines have of a run."""
    console = Console(file=StringIO(), width=80, height=24, force_terminal=terminal, color_system=None)
    with LiveView(console) as view:
        view.show(progress)
        text = console.file.getvalue()  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", text).splitlines()


def reported(report: Report) -> str:
    file = StringIO()
    print_report(report, Console(file=file, width=80))
    return file.getvalue()


def test_a_rate_is_that_of_the_last_seconds() -> None:
    rate = RecentRate(5.0)

    rates = [rate.of(count, second * SECOND_US) for second, count in enumerate([70, 80, 90, 100, 110, 120, 120, 120])]

    assert rates == pytest.approx([0.0, 10.0, 10.0, 10.0, 10.0, 10.0, 8.0, 6.0])


def test_a_terminal_of_24_lines_has_room_for_everything() -> None:
    lines = shown(PROGRESS, terminal=True)

    assert len(lines) <= 24
    assert not [line for line in lines if "…" in line]
    assert [" ".join(line.split()) for line in lines if "settle " in line] == ["settle 0 1 2 3 0 10 20 30"]


def test_rates_are_shown_and_a_latency_of_nothing_is_no_figure() -> None:
    words = [line.split() for line in shown(PROGRESS, terminal=True)]

    assert ["submitted", "6,000", "500/s"] in words
    assert ["settled", "5,000", "471/s"] in words
    assert ["decision", "8.0", "8.0", "8.0", "8.0"] in words
    assert ["settled", "-", "-", "-", "-"] in words


def test_a_pipe_gets_a_line_that_is_not_broken() -> None:
    assert shown(replace(PROGRESS, decision=Latencies()), terminal=False) == [
        "  12.6 s  submitting         submitted 6000, 500/s  settled 5000, 471/s  in flight 715  decision p99 -"
    ]


def test_a_report_names_every_shard_and_shows_its_position_whole() -> None:
    said = reported(REPORT)

    assert "authorise/3" in said
    assert "…" not in said
    assert said.count("abababababababab") == 2
    assert re.search(r"in limbo, GBP minor units .* 123,456", said)


def test_a_replay_that_left_something_out_says_how_much() -> None:
    said = reported(replace(REPORT, verdicts=[replace(VERDICT, left_out=339)]))

    assert "NO   replay of the recorded streams equals live: 339 events are behind" in said


def test_the_page_says_which_run_it_is_of(tmp_path: Path) -> None:
    page = write_page(REPORT, tmp_path).read_text()

    assert "Seed 7, 4 shards, restarts: links 2." in page
    assert re.search(r"<p>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: 20.0 s, 500 payments/s", page)
    assert "<td>GBP</td><td>123,456</td>" in page
    assert "<td>GBP</td><td>0</td>" in page


def test_the_page_of_a_run_that_was_resumed_a_day_later_is_no_larger(tmp_path: Path) -> None:
    a_day = [500] * 20 + [0] * 86_400 + [500] * 20

    assert write_page(replace(REPORT, settled_per_second=a_day), tmp_path).stat().st_size < 200_000


def test_a_latency_above_all_bounds_is_counted_beside_them(tmp_path: Path) -> None:
    page = write_page(replace(REPORT, settled_ms=[25_000.0]), tmp_path).read_text()

    assert ">more<" in page
