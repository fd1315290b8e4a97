"""``python -m tests.unit.iso20022.fuzz COUNT [FIRST_SEED]``: as many changed messages as one likes, judged twice."""

from __future__ import annotations

import sys
from random import Random
from time import perf_counter

from schemas.iso20022.writing import write_message
from tests.unit.iso20022.any_message import AnyMessage
from tests.unit.iso20022.iso_schemas import NAMES, accepts
from tests.unit.iso20022.mutations import damaged, mutated
from tests.unit.iso20022.test_verdicts import faults_of_structure


def main(count: int, first: int) -> int:
    """Return how many verdicts differ; print the seeds of those."""
    started, valid, differ = perf_counter(), 0, 0
    for seed in range(first, first + count):
        random, name = Random(seed), NAMES[seed % len(NAMES)]
        document = write_message(name, AnyMessage(name, seed // 3, random.choice((0.05, 0.15, 0.3))).content())
        document = (mutated if random.random() < 0.7 else damaged)(document, random)
        verdict, faults = accepts(name, document), faults_of_structure(document)
        valid += verdict
        if verdict == bool(faults):
            differ += 1
            print(f"seed {seed}, {name}: the schema says {verdict}, we say {faults[:3]}")  # noqa: T201
    print(f"{count} messages, {valid} valid, {differ} verdicts differ, {perf_counter() - started:.0f} s")  # noqa: T201
    return differ


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
