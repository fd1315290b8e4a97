"""Fraud as push payments suffer it: one plot begins in every block of submissions.

A plot is a row of payments at fixed places behind the beginning of its block, so that "what happens at index i" needs
no memory.  Plots follow each other in turn, so that a short run has each of them.  Some begin with a habit: a few small
purchases that make the account look like anybody's, and make what comes next unusual.  What a mule passes on comes a
few thousand submissions after what it took in, since money must have arrived to be passed on.

Mules' accounts are fresh, and so are the accounts of those who are talked into something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from agents.edge.workload.draws import Draws
from agents.edge.workload.population import Account, Population
from schemas.money import Money

BLOCK: Final = 500
"""Submissions from the beginning of one plot to that of the next."""
_HABIT_STEPS: Final = 6
_FAN_IN_STEPS: Final = 10


class Scene(NamedTuple):
    """One payment of a plot."""

    debtor: Account
    creditor: Account
    amount: Money
    reference: str


class Stage(NamedTuple):
    """Where a plot is played."""

    population: Population
    seed: int
    block: int

    def draws(self, purpose: str, step: int = 0) -> Draws:
        """Return the draws of a step."""
        return Draws(self.seed, purpose, self.block, step)

    def someone(self, purpose: str, currency: str, step: int = 0) -> Account:
        """Return an account that nobody has seen before."""
        return self.population.fresh(self.draws(purpose, step), currency)

    def anyone(self, purpose: str, currency: str, step: int = 0) -> Account:
        """Return an ordinary account."""
        return self.population.payee(self.draws(purpose, step), currency)

    def habit(self, account: Account, step: int) -> Scene:
        """Return one of the small purchases that make an account look like anybody's."""
        minor = self.draws("habit", step).between(250, 900)
        shop = self.population.contact(account, step % 2)
        return Scene(account, shop, Money(minor, account.currency), "COFFEE")


class Plot(NamedTuple):
    """A way to defraud."""

    name: str
    places: dict[int, int]
    """Place behind the beginning of the block -> number of the step."""
    play: Callable[[Stage, int], Scene]


class Step(NamedTuple):
    """That an index belongs to a plot, and where in it."""

    plot: Plot
    block: int
    number: int


def step_at(index: int) -> Step | None:
    """Return the step of a plot that is played at ``index``, or None."""
    block, place = divmod(index, BLOCK)
    while block >= 0 and place <= _LAST_PLACE:
        plot = PLOTS[block % len(PLOTS)]
        number = plot.places.get(place)
        if number is not None:
            return Step(plot, block, number)
        block, place = block - 1, place + BLOCK
    return None


def play(population: Population, seed: int, step: Step) -> Scene:
    """Return the payment of a step."""
    return step.plot.play(Stage(population, seed, step.block), step.number)


def _mule(stage: Stage, step: int) -> Scene:
    """Let many victims pay one mule, who passes almost all of it on."""
    currency = "EUR" if stage.draws("mule-currency").happens(4_000) else "GBP"
    mule = stage.someone("mule", currency)
    if step < _HABIT_STEPS:
        return stage.habit(mule, step)
    taken = [stage.draws("fan-in", number).between(4, 30) * 5_000 for number in range(_FAN_IN_STEPS)]
    number = step - _HABIT_STEPS
    if number < _FAN_IN_STEPS:
        return Scene(stage.anyone("fan-in", currency, number), mule, Money(taken[number], currency), "INVESTMENT")
    passed_on = sum(taken) * stage.draws("passed-on", step).between(90, 99) // 100
    return Scene(mule, stage.someone("onward", currency, step), Money(passed_on, currency), "TRANSFER")


def _authorised_push(stage: Stage, step: int) -> Scene:
    """Talk somebody into large payments to a payee they never paid."""
    victim = stage.someone("talked-into", "GBP")
    if step < _HABIT_STEPS:
        return stage.habit(victim, step)
    amount = Money(stage.draws("push", step).between(90, 190) * 1_000, "GBP")
    return Scene(victim, stage.someone("safe-account", "GBP"), amount, "SAFE ACCOUNT")


def _velocity_burst(stage: Stage, step: int) -> Scene:
    """Empty an account that was taken over to new payees within seconds."""
    amount = Money(stage.draws("burst", step).between(45_000, 99_000), "EUR")
    return Scene(stage.anyone("taken-over", "EUR"), stage.someone("burst-payee", "EUR", step), amount, "TRANSFER")


def _below_limit(stage: Stage, step: int) -> Scene:
    """Pay a series just below a limit of 10,000."""
    payer = stage.someone("below-payer", "GBP")
    if step < _HABIT_STEPS:
        return stage.habit(payer, step)
    amount = Money(stage.draws("below", step).between(930_000, 999_000), "GBP")
    return Scene(payer, stage.someone("below-payee", "GBP"), amount, "PART PAYMENT")


def _probe(stage: Stage, step: int) -> Scene:
    """Pay a little to see whether it goes through, then much."""
    minor = 100 if step == 0 else stage.draws("probe", step).between(150_000, 290_000)
    return Scene(stage.anyone("probed", "EUR"), stage.someone("prober", "EUR"), Money(minor, "EUR"), "TEST")


def _places(*rows: tuple[int, int, int]) -> dict[int, int]:
    """Return the places of steps that are played in rows of (first place, stride, count)."""
    places = [first + stride * number for first, stride, count in rows for number in range(count)]
    return {place: number for number, place in enumerate(places)}


_HABIT = (5, 17, _HABIT_STEPS)
_PUSH = Plot("authorised-push", _places(_HABIT, (300, 40, 2)), _authorised_push)
PLOTS: Final = (
    Plot("mule", _places(_HABIT, (110, 9, _FAN_IN_STEPS), (2_110, 30, 3)), _mule),
    _PUSH,
    Plot("velocity-burst", _places((60, 4, 12)), _velocity_burst),
    _PUSH,
    Plot("below-limit", _places(_HABIT, (200, 7, 5)), _below_limit),
    Plot("probe", _places((60, 30, 4)), _probe),
)
_LAST_PLACE = max(place for plot in PLOTS for place in plot.places)
