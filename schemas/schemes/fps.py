"""UK Faster Payments.  On the wire it is ISO 8583; what we hold is an internal canonical form of it.

GBP only, at most GBP 1,000,000 a payment, a reference of at most 18 characters.  The receiver answers within 15 s.
Settlement is multilateral and deferred, in three cycles a business day, under prefunded net sender caps.

Reason codes are numeric.  Of the receiver: 1114 account unknown, 1161 account stopped, 1172 no funds, 1909 malfunction,
1930 syntax.  From the centre: 9910 receiver off, 9911 receiver time-out, 9912 receiver unavailable, 9913 duplicate.

Sources: the scheme's rules and its message specification are not public; limits, clock and codes are from secondary
sources, and are data for that reason.
"""

from __future__ import annotations

from schemas.schemes.profile import ReasonCodes, SchemeProfile

FPS = SchemeProfile(
    name="fps",
    currency="GBP",
    amount_minor_max=100_000_000,
    answer_us_max=15_000_000,
    on_timeout="expire",
    may_hold=True,
    reference_length_max=18,
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
