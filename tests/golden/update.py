"""Add the bytes of new kinds and versions to the golden file: ``python -m tests.golden.update``.

It only adds.  What is in ``events.json`` is in logs, for ever: a kind whose bytes have changed needs a new version,
and one that is gone must be decoded as long as any log has it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final, TypedDict

from schemas import codec, edge
from tests.golden.examples import EXAMPLE_OF_TYPE

GOLDEN_FILE: Final = Path(__file__).with_name("events.json")


class GoldenEvent(TypedDict):
    """One entry of the file."""

    kind: int
    version: int
    event: str
    fields: dict[str, object]
    body: str
    """Hexadecimal digits."""


def golden_events() -> list[GoldenEvent]:
    """Return the entries of the file."""
    entries: list[GoldenEvent] = json.loads(GOLDEN_FILE.read_text("utf-8"))
    return entries


def entries_of_this_build() -> list[GoldenEvent]:
    """Return what each kind of this build looks like now."""
    entries: list[GoldenEvent] = []
    for event_type in codec.KINDS.values():
        example = EXAMPLE_OF_TYPE[event_type]
        kind, version, body = codec.encode(example)
        fields = json.loads(edge.write(example))
        entries.append(
            {"kind": kind, "version": version, "event": event_type.__name__, "fields": fields, "body": body.hex()}
        )
    return entries


def main() -> int:
    kept = {(entry["kind"], entry["version"]): entry for entry in golden_events()} if GOLDEN_FILE.exists() else {}
    built = {(entry["kind"], entry["version"]): entry for entry in entries_of_this_build()}
    changed = [entry for key, entry in built.items() if kept.setdefault(key, entry) != entry]
    for entry in changed:
        sys.stderr.write(f"{entry['event']}, kind {entry['kind']}, version {entry['version']}: has other bytes now\n")
    if changed:
        sys.stderr.write("Nothing was written: give what has changed a new version.\n")
        return 1
    entries = [kept[key] for key in sorted(kept)]
    GOLDEN_FILE.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
