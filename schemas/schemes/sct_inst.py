"""SEPA Instant Credit Transfer: EUR only, without an amount limit.

The clock starts at the moment the order was received (AccptncDtTm): 7 s to the hard time-out at the creditor's side,
9 s to the confirmation at the originator.  An order cannot be held for a review: it is executed or refused.

Reason codes are ISO 20022's: AB06 time-out at the instructed agent or clearing, AB08 creditor's agent off line, AB10
error at the instructed agent, AC01 account wrong, AM05 duplicate, AM23 above the settlement limit, FRAD fraud.  AM02
may not be used.

Sources: EPC004-16, SCT Inst scheme rulebook, 2025 version 1.0, in force from 5 October 2025; ISO 20022 external code
sets.  What follows for the originator when 10 s have passed without a confirmation is from secondary sources.
"""

from __future__ import annotations

from dataclasses import replace

from schemas.schemes.profile import ReasonCodes, SchemeProfile

SCT_INST = SchemeProfile(
    name="sct-inst",
    currency="EUR",
    amount_minor_max=None,
    answer_us_max=7_000_000,
    on_timeout="expire",
    may_hold=False,
    reference_length_max=140,
    reasons=ReasonCodes(
        duplicate="AM05",
        over_scheme_limit="AM23",
        over_cap="AM23",
        unreachable="AB08",
        creditor_agent_offline="AB08",
        timeout="AB06",
        too_late_on_arrival="AB06",
        suspected_fraud="FRAD",
        invalid="AC01",
        too_many_open="AB10",
    ),
)

SCT_INST_FOREIGN = replace(SCT_INST, name="sct-inst-foreign", on_timeout="hold", answer_us_max=9_000_000)
"""SCT Inst through somebody else's clearing, whose participant we are: a time-out says nothing about the outcome."""
