"""What a person sees while the demo runs, and at its end: on stderr, so that stdout can be JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.report import OUTCOMES, Report
from demo.run import Progress
from demo.stack.chaos import ChaosResult


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
            self._console.print(_line(progress), highlight=False)


def print_report(report: Report, console: Console) -> None:
    """Print what came of the run."""
    outcomes = Table(title="Every submitted record", show_header=False)
    outcomes.add_row("submitted", f"{report.submitted:,}")
    for name in OUTCOMES:
        outcomes.add_row(f"  {name}", f"{report.outcomes[name]:,}")
    outcomes.add_row("  in flight", str(report.in_flight))
    console.print(outcomes)
    console.print(_latencies({name: list(points.values()) for name, points in report.latency_ms.items()}))
    console.print(_positions(report))
    console.print(_proof(report))
    _say(console, report.accounted, "every record accounted for")
    _say(console, report.conserved, f"money conserved: cycles sum to {report.positions_sum}, and to their payments")
    _say(console, report.replay_equal, "replay of the recorded streams equals live: chain heads and states")
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
    rate = counts.submitted / progress.seconds if progress.seconds else 0.0
    table.add_row("submitted", f"{counts.submitted:,}", f"{rate:,.0f}/s")
    for name in OUTCOMES:
        table.add_row(f"  {name}", f"{getattr(counts, name):,}")
    table.add_row("  in flight", f"{counts.in_flight:,}")
    for limbo in progress.limbo:
        table.add_row("  in limbo", f"{limbo.minor:,} minor units", limbo.currency)
    recent = {"decision": progress.decision, "settled": progress.settled}
    latencies = _latencies({name: list(each.summary().values()) for name, each in recent.items()})
    title = Text(f"{progress.seconds:6.1f} s  {progress.phase}  {progress.restarts} restarts", style="bold")
    return Group(title, table, latencies, _lags(progress))


def _line(progress: Progress) -> str:
    counts = progress.counts
    return (
        f"{progress.seconds:6.1f} s  {progress.phase:<18} submitted {counts.submitted}  settled {counts.settled}  "
        f"in flight {counts.in_flight}  decision p99 {progress.decision.percentile(99):.1f} ms"
    )


def _lags(progress: Progress) -> Table:
    table = Table("shard", "records behind", "ms behind")
    for stage, shard, lag_records, lag_ms in progress.lags:
        table.add_row(f"{stage}/{shard}", f"{lag_records:,}", f"{lag_ms:,.0f}")
    return table


def _latencies(rows: dict[str, list[float]]) -> Table:
    table = Table("latency, ms", "p50", "p95", "p99", "max")
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.1f}" for value in values))
    return table


def _positions(report: Report, shown: int = 12) -> Table:
    table = Table("cycle", "settlement account", "net, minor units", title="Largest net positions")
    largest = sorted(report.positions, key=lambda position: -abs(position.net_minor))[:shown]
    for position in largest:
        table.add_row(str(position.cycle), position.account, f"{position.net_minor:,}")
    return table


def _proof(report: Report) -> Table:
    table = Table("shard", "position", "records", "live head", "replayed head", title="Replay")
    for verdict in report.verdicts:
        heads: Sequence[str] = (verdict.live_head.hex()[:16], verdict.replayed_head.hex()[:16])
        table.add_row(f"{verdict.stage}/{verdict.shard_id}", verdict.position, str(verdict.records), *heads)
    return table


def _say(console: Console, good: bool, what: str) -> None:  # noqa: FBT001 - yes or no, said in colour
    console.print(f"[green]yes[/]  {what}" if good else f"[bold red]NO[/]   {what}")
