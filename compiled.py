"""Compiles in place what a step consists of: the pure part of the engine, the authorise stage's agents, the codec.

    make compiled        about a minute; needs a C compiler.  Nothing else does.

The source stays the only definition: mypyc compiles these modules as they are, and a compiled build puts out the same
bytes.  The interpreter takes a compiled module instead of the source beside it, also when the source has changed since:
compile again, or remove what was compiled (make interpreted).

Left out is what msgspec or pydantic make from annotations (events, the engine's own events, rows coded by msgspec),
what is not on a payment's way, and what the simulation replaces by a broken part: a compiled class has no interpreted
children.
"""

from __future__ import annotations

from mypyc.build import mypycify
from setuptools import setup

KERNEL = ("agent", "audit_chain", "envelope", "keys", "machine", "position", "tables", "timers")
AGENTS = (
    "dedupe",
    "directory",
    "event_codec",
    "fraud/account",
    "fraud/agent",
    "fraud/features",
    "fraud/payee_risk",
    "fraud/scorecard",
    "fraud/windows",
    "refusals",
    "routing",
    "scheme_choice",
)
SOURCES = [
    *(f"pipeline/kernel/{name}.py" for name in KERNEL),
    *(f"agents/{name}.py" for name in AGENTS),
    "schemas/codec.py",
]

if __name__ == "__main__":
    setup(
        name="compiled",
        packages=[],
        ext_modules=mypycify(SOURCES, opt_level="3", group_name="payments"),
        script_args=["--quiet", "build_ext", "--inplace"],
    )
