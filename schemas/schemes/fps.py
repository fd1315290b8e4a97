"""UK Faster Payments.  On the wire it is ISO 8583; what we hold is an internal canonical form of it.

GBP only, at most GBP 1,000,000 a payment, a reference of at most 18 characters.  The receiver answers within 15 s.
Settlement is multilateral and deferred, in three cycles a business day, under prefunded net sender caps.

Reason codes are numeric.  Of the receiver: 1114 account unknown, 1161 account stopped, 1172 no funds, 1909 malfunction,
1930 syntax.  From the centre: 9910 receiver off, 9911 receiver time-out, 9912 receiver unavailable, 9913 duplicate.

In the canonical form a reason stands as the scheme's own number (``Rsn/Prtry``); each has one code of ISO 20022 that
stands for it elsewhere.

Sources: the scheme's rules and its message specification are not public; limits, clock and codes are from secondary
sources, and are data for that reason.
"""

from __future__ import annotations

from typing import Final

from schemas.schemes.profile import MessageRules, ReasonCodes, SchemeProfile

_OWN_REASONS: Final = {
    "AC01": "1114",
    "AC04": "1160",
    "AC06": "1161",
    "MD07": "1167",
    "AM04": "1172",
    "AM05": "1181",
    "AB09": "1909",
    "FF01": "1930",
    "AB08": "9910",
    "AB05": "9911",
    "AB07": "9912",
    "DUPL": "9913",
}
_MESSAGES: Final = MessageRules(
    names=frozenset("pacs.008.001.08 pacs.002.001.10 pacs.028.001.03 pacs.004.001.09".split()),
    transactions_max=1,
    required=("pacs.008/CdtTrfTxInf/PmtId/TxId", "pacs.002/TxInfAndSts/OrgnlTxId"),
    allowed={
        "pacs.002/TxInfAndSts/TxSts": frozenset({"ACCP", "ACSC", "ACWP", "RJCT"}),
        "pacs.002/TxInfAndSts/StsRsnInf/Rsn/Cd": frozenset(),
        "pacs.002/TxInfAndSts/StsRsnInf/Rsn/Prtry": frozenset(_OWN_REASONS.values()),
    },
    payment_type={"LclInstrm": {"Prtry": "SIP"}},
    own_reasons=_OWN_REASONS,
)

FPS = SchemeProfile(
    name="fps",
    currency="GBP",
    amount_minor_max=100_000_000,
    answer_us_max=15_000_000,
    on_timeout="expire",
    may_hold=True,
    reference_length_max=18,
    target_us=15_000_000,
    confirm_us_max=15_000_000,
    outer_us_max=15_000_000,
    recalls_max=0,
    verification_blocks=False,
    wire="ISO 8583; ISO 20022 is our canonical form of it",
    messages=_MESSAGES,
    reasons=ReasonCodes(
        duplicate="9913",
        over_scheme_limit="1172",
        over_cap="9912",
        unreachable="1114",
        creditor_agent_offline="9910",
        timeout="9911",
        too_late_on_arrival="9911",
        suspected_fraud="1161",
        invalid="1930",
        too_many_open="1909",
    ),
)
