"""Prometheus on the stack's workers, where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from demo.fleet import Member
from demo.lag import free_port

SCRAPE_SECONDS = 5


def prometheus(folder: Path, workers: Mapping[str, int]) -> tuple[Member, str] | None:
    """Return Prometheus, which looks at the ports of ``workers``, and where it will be; None if it is not installed."""
    program = shutil.which("prometheus")
    if program is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(configuration({name: f"127.0.0.1:{port}" for name, port in workers.items()}))
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
    )
    return Member("prometheus", options, folder / "prometheus.log", program=(program,)), f"http://{address}"


def configuration(workers: Mapping[str, str]) -> str:
    """Return a configuration for the workers at these addresses, by name."""
    lines = ["global:", f"  scrape_interval: {SCRAPE_SECONDS}s", "scrape_configs:"]
    for name, address in workers.items():
        lines += [f"  - job_name: {name}", f"    static_configs: [{{targets: ['{address}']}}]"]
    return "\n".join(lines) + "\n"
