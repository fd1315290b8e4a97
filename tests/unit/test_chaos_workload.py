"""What clients order in a simulated world."""

from __future__ import annotations

from random import Random

from chaos.virtual_time import START_US
from chaos.workload import ACCOUNTS_A_BANK, OrderKind, Workload


def test_seed_148_a_transaction_may_be_stolen_more_often_than_its_bank_has_accounts() -> None:
    workload = Workload(Random(148))
    first = workload._keep(workload._fresh(0, OrderKind.PLAIN, START_US))

    for number in range(1, 2 * ACCOUNTS_A_BANK):
        workload._keep(workload._again(number, OrderKind.STOLEN, first, START_US))

    transfers = [order.transfer for order in workload.orders.values()]
    assert len({transfer.debtor.account for transfer in transfers}) == 2 * ACCOUNTS_A_BANK
    assert {transfer.transaction_id for transfer in transfers} == {first.transfer.transaction_id}
