"""The figures as people read them."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.figures import ENGINE, PARTS, AuthoriseFigures
from bench.run import BenchResult


def print_figures(result: BenchResult, console: Console) -> None:
    """Print what was measured."""
    worlds = (result.authorise, result.authorise_million)
    console.print(_authorise_table(worlds))
    for line in (_many_line(result), _kcl_line(result), _bytewax_line(result), _machine_line(result)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _authorise_table(worlds: tuple[AuthoriseFigures, ...]) -> Table:
    """Return a column by the clock and one of CPU time for each world."""
    table = Table(title="Authorise stage, durable, one core: us per payment")
    table.add_column("")
    for world in worlds:
        table.add_column(f"{world.accounts:,} accounts", justify="right")
        table.add_column("CPU", justify="right")
    for part in PARTS:
        name = f"{part} *" if part in ENGINE else part
        table.add_row(name, *(f"{us:.2f}" for world in worlds for us in (world.parts[part], world.cpu_parts[part])))
    table.add_section()
    for name, field in (
        ("total", "us_per_payment"),
        ("the engine: *", "engine_us_per_payment"),
        ("without agents", "without_agents_us_per_payment"),
    ):
        fields = (field, field.replace("us_per", "cpu_us_per"))
        table.add_row(name, *(f"{getattr(world, name):.2f}" for world in worlds for name in fields))
    table.add_section()
    for name, field in (
        ("payments/s", "payments_per_second"),
        ("median of ten portions", "payments_per_second_median"),
        ("claims before", "claims"),
        ("resident MiB, at most", "resident_mib_max"),
    ):
        table.add_row(name, *(cell for world in worlds for cell in (f"{getattr(world, field):,.0f}", "")))
    return table


def _many_line(result: BenchResult) -> str:
    figures = result.as_json()
    return (
        f"{result.authorise_million.accounts:,} accounts cost {figures['million_over_ten_thousand']} times as much as "
        f"{result.authorise.accounts:,} (CPU: {figures['million_over_ten_thousand_cpu']})"
    )


def _kcl_line(result: BenchResult) -> str:
    child = result.kcl_child
    return (
        f"under KCL the process of a shard needs {child.added_cpu_us_per_payment} us of CPU more to come by a payment: "
        f"{child.from_the_daemon_cpu_us} us from the daemon, {child.from_the_log_cpu_us} us from the embedded log"
    )


def _bytewax_line(result: BenchResult) -> str:
    theirs = result.bytewax
    if theirs is None:
        return "not compared with bytewax, which is not installed"
    return (
        f"bytewax {theirs.version}, the same agents: {theirs.payments_per_second:,.0f} payments/s, "
        f"{theirs.us_per_payment} us a payment (CPU: {theirs.cpu_us_per_payment}); "
        f"we do {theirs.ratio} times as many (CPU: {theirs.ratio_cpu})"
    )


def _machine_line(result: BenchResult) -> str:
    machine = result.machine
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.python}{', compiled' if machine.compiled else ''}, "
        f"{machine.system}, {machine.filesystem}; "
        f"load {machine.load_before} before, {machine.load_after} after"
    )
