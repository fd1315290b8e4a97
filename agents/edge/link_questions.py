"""About which payments a participant is asked how they stand (pacs.028), and which question an answer answers.

Nobody is asked about a payment whose message is still under way: the question might arrive first, and the answer to it,
never received, would then be wrong.  For the same reason "never received" counts only if it names the question that was
asked last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.edge.link_messages.terms import Question, Reply, Transaction
from agents.edge.link_messages.writing import message_id
from agents.edge.wire.courier import Fate

if TYPE_CHECKING:
    from collections.abc import Iterable

ASK_AGAIN_US: Final = 1_000_000
"""After a question of which nobody knows whether it arrived."""


class Questions:
    """The questions of one process of links; a process that starts asks anew."""

    def __init__(self) -> None:
        self._due_us: dict[Transaction, int] = {}
        self._asked: dict[Transaction, str] = {}
        self._under_way: set[Transaction] = set()

    def ask(self, transactions: Iterable[Transaction], now_us: int) -> None:
        """Ask about these, each as soon as nothing about it is under way."""
        for transaction in transactions:
            self._due_us.setdefault(transaction, now_us)

    def begin(self, transaction: Transaction) -> None:
        """Note that a message about ``transaction`` is on its way."""
        self._under_way.add(transaction)

    def end_of_payment(self, transaction: Transaction, fate: Fate, now_us: int) -> None:
        """Note what became of a payment's message; if nobody knows, ask."""
        self._under_way.discard(transaction)
        if fate is Fate.DOUBTFUL:
            self.ask([transaction], now_us)

    def end_of_question(self, transaction: Transaction, fate: Fate, now_us: int) -> None:
        """Note what became of a question; if nobody knows, ask again."""
        self._under_way.discard(transaction)
        if fate is Fate.DOUBTFUL:
            self._due_us.setdefault(transaction, now_us + ASK_AGAIN_US)

    def due(self, now_us: int) -> list[Transaction]:
        """Return what there is to ask about now, once."""
        due = [each for each, at_us in self._due_us.items() if at_us <= now_us and each not in self._under_way]
        for transaction in due:
            del self._due_us[transaction]
        return due

    def put(self, transaction: Transaction, now_us: int) -> Question:
        """Return the question that is asked now; no other is called so."""
        question = Question(transaction, message_id("question", *transaction, now_us))
        self._asked[transaction] = question.message_id
        self.begin(transaction)
        return question

    def is_answered_by(self, reply: Reply) -> bool:
        """Say, once, whether ``reply`` names the question that was asked last."""
        if self._asked.get(reply.transaction) != reply.original:
            return False
        self.forget(reply.transaction)
        return True

    def forget(self, transaction: Transaction) -> None:
        """Ask no more about a payment that has its answer."""
        self._due_us.pop(transaction, None)
        self._asked.pop(transaction, None)
