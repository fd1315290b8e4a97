"""From a submission to the record that is put on the payments stream, and to a line of JSON.

The bytes are a function of the submission, the times of acceptance and the producer, so that a generator that was
killed between its append and its note of it appends the very same bytes again.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec

from agents.edge.workload import bad_data
from agents.edge.workload.sequence import Kind, Submission
from agents.streams import PAYMENTS
from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import hash_key
from schemas import codec, edge
from schemas.events import PaymentSubmitted

if TYPE_CHECKING:
    from agents.edge.producer import Identity


def record_of(submission: Submission, accepted_us: int, submitted_us: int, producer: Identity) -> Output:
    """Return the record of a submission that was accepted, for the first time or again, at ``accepted_us``."""
    transfer = submission.order.accepted(accepted_us)
    hashed = hash_key(submission.key)
    lineage = edge_lineage(producer.epoch, submission.index)
    if submission.kind is Kind.BAD_DATA:
        spoil = bad_data.huge_string if submission.label == bad_data.HUGE else bad_data.SPOILS[submission.label]
        record = spoil(transfer, bad_data.Header(submitted_us, hashed, lineage, producer.name))
    else:
        kind, version, body = codec.encode(PaymentSubmitted(transfer))
        record = encode(Envelope(FROM_EDGE, kind, version, submitted_us, hashed, hashed, lineage, producer.name, body))
    return Output(PAYMENTS, hashed, hashed, record)


def line_of(submission: Submission, accepted_us: int, producer: Identity) -> bytes:
    """Return a submission as one line of JSON; of bad data the whole record, in base 64."""
    line: dict[str, Any] = {
        "index": submission.index,
        "kind": submission.kind.value,
        "label": submission.label,
        "stream": PAYMENTS,
        "key": submission.key,
    }
    if submission.kind is Kind.BAD_DATA:
        line["record"] = b64encode(record_of(submission, accepted_us, accepted_us, producer).record).decode()
    else:
        line["event"] = msgspec.Raw(edge.write_named(PaymentSubmitted(submission.order.accepted(accepted_us))))
    return msgspec.json.encode(line)
