"""What a person sees while the demo runs, and at its end: on stderr, so that stdout can be JSON."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Self

from rich import box
from rich.box import Box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.report import OUTCOMES, Report
from demo.run import Progress
from demo.stack.chaos import ChaosResult

_HEAD_DIGITS = 16


class LiveView:
    """A table that is drawn again at each look; on anything but a terminal, a line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._told_at = -5.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show how it stands."""
        if self._live is not None:
            self._live.update(_progress(progress), refresh=True)
        elif progress.seconds - self._told_at >= 5:  # noqa: PLR2004 - seconds between two lines
            self._told_at = progress.seconds
            self._console.print(_line(progress), highlight=False, soft_wrap=True)


def print_report(report: Report, console: Console) -> None:
    """Print what came of the run."""
    outcomes = Table(title="Every submitted record", show_header=False)
    outcomes.add_row("submitted", f"{report.submitted:,}")
    for name in OUTCOMES:
        outcomes.add_row(f"  {name}", f"{report.outcomes[name]:,}")
    outcomes.add_row("  in flight", str(report.in_flight))
    for currency, minor in report.limbo_minor.items():
        outcomes.add_row(f"in limbo, {currency} minor units", f"{minor:,}")
    console.print(outcomes)
    if report.clients is not None:
        console.print(_clients(report.clients))
    console.print(_latencies(report.latency_ms))
    console.print(_positions(report))
    console.print(_proof(report))
    _say(console, report.accounted, "every record accounted for")
    _say(console, report.conserved, f"money conserved: cycles sum to {report.positions_sum}, and to their payments")
    left_out = sum(verdict.left_out for verdict in report.verdicts)
    replayed = f"{left_out:,} events are behind all snapshots" if left_out else "chain heads and states"
    _say(console, report.replay_equal, f"replay of the recorded streams equals live: {replayed}")
    restarts = ", ".join(f"{name} {count}" for name, count in report.restarts.items())
    console.print(
        f"{report.tps:.0f} payments/s submitted; {report.seconds:.0f} s in all; restarts: {restarts or 'none'}"
    )


def print_chaos(result: ChaosResult, faults: Mapping[str, int], console: Console, shown: int = 20) -> None:
    """Print what was done to a run, and what the auditor says of it."""
    killed = ", ".join(f"{kind} {times}" for kind, times in sorted(result.killed.items()))
    console.print(f"kill -9: {killed or 'none'}; {'; '.join(result.resharded) or 'nothing split or merged'}")
    console.print("between the processes and Kinesis: " + ", ".join(f"{what} {n:,}" for what, n in faults.items()))
    for problem in result.problems[:shown]:
        console.print(f"{problem.invariant.value}: {problem.text}", markup=False, style="red")
    said = f"the auditor: {result.audited:,} orders, {result.lost} lost, {result.twice} twice, "
    _say(console, not result.problems, f"{said}{len(result.problems)} problems in all")


def _progress(progress: Progress) -> RenderableType:
    counts = progress.counts
    table = Table(show_header=False, box=None)
    table.add_row("submitted", f"{counts.submitted:,}", f"{progress.submitted_per_second:,.0f}/s")
    rates = {"settled": f"{progress.settled_per_second:,.0f}/s"}
    for name in OUTCOMES:
        table.add_row(f"  {name}", f"{getattr(counts, name):,}", rates.get(name))
    table.add_row("  in flight", f"{counts.in_flight:,}")
    for limbo in progress.limbo:
        table.add_row("  in limbo", f"{limbo.minor:,} minor units", limbo.currency)
    recent = {"decision": progress.decision, "settled": progress.settled}
    latencies = _latencies({name: each.summary() if each.values_ms else {} for name, each in recent.items()}, None)
    title = Text(f"{progress.seconds:6.1f} s  {progress.phase}  {progress.restarts} restarts", style="bold")
    return Group(title, table, latencies, _lags(progress))


def _line(progress: Progress) -> str:
    counts, decision = progress.counts, progress.decision
    p99 = f"{decision.percentile(99):.1f} ms" if decision.values_ms else "-"
    return (
        f"{progress.seconds:6.1f} s  {progress.phase:<18} "
        f"submitted {counts.submitted}, {progress.submitted_per_second:.0f}/s  "
        f"settled {counts.settled}, {progress.settled_per_second:.0f}/s  "
        f"in flight {counts.in_flight}  decision p99 {p99}"
    )


def _lags(progress: Progress) -> Table:
    """Return a row for each stage: so it fits on a terminal with whatever number of shards."""
    table = Table("stage", "records behind, shard by shard", "ms behind", box=None)
    for stage, lags in groupby(progress.lags, lambda lag: lag.stage):
        shards = list(lags)
        records = " ".join(f"{lag.lag_records:,}" for lag in shards)
        table.add_row(stage, records, " ".join(f"{lag.lag_ms:,.0f}" for lag in shards))
    return table


def _clients(sums: Mapping[str, object]) -> Table:
    table = Table(title="What the gateway's clients saw", show_header=False)
    for name, value in sums.items():
        told = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, Mapping) else str(value)
        table.add_row(name.replace("_", " "), told or "none")
    return table


def _latencies(points_of: Mapping[str, Mapping[str, float]], frame: Box | None = box.HEAVY_HEAD) -> Table:
    names = ("p50", "p95", "p99", "max")
    table = Table("latency, ms", *names, box=frame)
    for what, points in points_of.items():
        table.add_row(what, *(f"{points[name]:.1f}" if points else "-" for name in names))
    return table


def _positions(report: Report, shown: int = 12) -> Table:
    table = Table("cycle", "settlement account", "net, minor units", title="Largest net positions")
    largest = sorted(report.positions, key=lambda position: -abs(position.net_minor))[:shown]
    for position in largest:
        table.add_row(str(position.cycle), position.account, f"{position.net_minor:,}")
    return table


def _proof(report: Report) -> Table:
    table = Table("shard", "records", title="Replay")
    table.add_column("live head", min_width=_HEAD_DIGITS)
    table.add_column("replayed head", min_width=_HEAD_DIGITS)
    table.add_column("position", overflow="fold")
    for verdict in report.verdicts:
        heads = (head.hex()[:_HEAD_DIGITS] for head in (verdict.live_head, verdict.replayed_head))
        table.add_row(verdict.name, f"{verdict.records:,}", *heads, verdict.position)
    return table


def _say(console: Console, good: bool, what: str) -> None:  # noqa: FBT001 - yes or no, said in colour
    console.print(f"[green]yes[/]  {what}" if good else f"[bold red]NO[/]   {what}")
