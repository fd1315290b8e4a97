"""SEPA Instant Credit Transfer, rulebook 2025 v1.0: EUR only, no amount limit, AM02 may not be used."""

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
