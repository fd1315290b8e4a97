"""Planted bugs: the real engine and the real agents, each with one rule broken.

A bug is a phrase behind "a product that ...", and is caught if the simulator finds anything wrong within a few seeds.
They are two or three times as many as it takes today: a simulator that is tuned may need another seed, but not many
more.  What goes with money says by which invariants it must show; what breaks a rule of the engine may show by any,
since a fork, a replay that differs and a lost payment are one thing seen at three moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agents.dedupe import Dedupe
from agents.settlement.agent import Settlement
from chaos.auditor.invariants import Invariant
from chaos.simulator.owner import Engine
from chaos.simulator.ports import SimulatedStore
from chaos.simulator.simulate import be_quiet, simulate
from chaos.simulator.topology import Product
from pipeline.kernel.machine import Machine
from pipeline.publisher import Publisher
from pipeline.restore import Restorer
from pipeline.shard import Shard
from tests.simulation.planted import agents, commits, inheritance, machines, products, publishing

PAYMENTS: Final = 100
"""Orders in each world."""
ANY: Final = "".join(Invariant)


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug."""

    engine: Engine
    seeds: int
    """Within so many it must be caught."""
    shows: str = ANY
    """The letters of the invariants of which it must break at least one."""


@dataclass(frozen=True, slots=True)
class Catch:
    """The first seed that has noticed a bug."""

    seed: int
    broken: str
    """The letters of the invariants."""
    first: str
    """What was found first."""


def hunt(bug: str) -> Catch | None:
    """Return what the first seed that notices ``bug`` found, or None if none of its seeds does."""
    be_quiet()
    planted = PLANTED[bug]
    for seed in range(planted.seeds):
        problems = simulate(seed, PAYMENTS, planted.engine).problems
        if problems:
            broken = "".join(sorted({problem.invariant.value for problem in problems}))
            return Catch(seed, broken, problems[0].text)
    return None


def _shard(shard: type[Shard], seeds: int, shows: str = ANY) -> Planted:
    return Planted(Engine(shard=shard), seeds, shows)


def _store(store: type[SimulatedStore], seeds: int, shows: str = ANY) -> Planted:
    return Planted(Engine(store=store), seeds, shows)


def _publisher(publisher: type[Publisher], seeds: int, shows: str = ANY) -> Planted:
    return Planted(Engine(publisher=publisher), seeds, shows)


def _restorer(restorer: type[Restorer], seeds: int, shows: str = ANY) -> Planted:
    return Planted(Engine(restorer=restorer), seeds, shows)


def _machine(machine: type[Machine], seeds: int, shows: str = ANY) -> Planted:
    return Planted(Engine(shard=machines.shard_of(machine)), seeds, shows)


def _product(product: Product, seeds: int, shows: str = ANY) -> Planted:
    return Planted(Engine(product=product), seeds, shows)


def _dedupe(dedupe: type[Dedupe], seeds: int, shows: str = ANY) -> Planted:
    return _product(products.hub(dedupe=dedupe), seeds, shows)


def _clearing(settlement: type[Settlement], seeds: int, shows: str = ANY) -> Planted:
    return _product(products.clearing(lambda _time: settlement), seeds, shows)


PLANTED: Final = {
    # commits
    "commits before it publishes": _shard(commits.CommitsBeforePublishing, 6),
    "says that it ended before its last outputs": _shard(commits.PublishesBehindTheEnd, 6),
    "commits in two writes": _store(commits.WritesTwice, 6),
    "keeps no watermarks": _store(commits.ForgetsWatermarks, 6),
    "keeps no timers": _store(commits.ForgetsTimers, 6),
    "keeps no closed cycles": _store(commits.ForgetsClosedCycles, 6),
    "keeps no coverage": _store(commits.ForgetsCoverage, 6),
    "keeps no calendar": _store(commits.ForgetsCutOffs, 6),
    "does not drop what has passed": _store(commits.ForgetsToDropGenerations, 6, "D"),
    # publishing
    "publishes backwards": _publisher(publishing.PublishesBackwards, 6),
    "sends later outputs first": _publisher(publishing.SendsLaterOnesFirst, 6),
    "does not send the rest again": _publisher(publishing.LeavesTheRest, 30),
    "does not send the rest of a broadcast again": _publisher(publishing.LeavesTheRestOfBroadcasts, 15),
    "broadcasts to the first shard": _publisher(publishing.BroadcastsToTheFirstShard, 6),
    "takes a time-out for an acknowledgement": _publisher(publishing.BelievesTimeOuts, 6),
    "puts two requests at once": _publisher(publishing.PutsTwoRequestsAtOnce, 6, "B"),
    # what a shard starts from
    "joins pieces": _restorer(inheritance.CoarsensPieces, 6),
    "takes the watermarks of one parent": _restorer(inheritance.TakesTheWatermarksOfOneParent, 6),
    "loses watermarks in a reshard": _restorer(inheritance.LosesWatermarks, 6),
    "closes the ranges of a child together": _restorer(inheritance.ClosesRangesTogether, 24),
    "starts a child at time zero": _restorer(inheritance.StartsAtTimeZero, 6),
    "starts a child with the first behaviour": _restorer(inheritance.StartsWithTheFirstBehaviour, 24, "D"),
    "starts a new chain in a child": _restorer(inheritance.StartsANewChain, 6, "D"),
    "leaves broadcast tables behind": _restorer(inheritance.LeavesBroadcastTablesBehind, 6, "AD"),
    "loses timers in a reshard": _restorer(inheritance.LosesTimers, 6, "DMN"),
    "loses claims in a reshard": _restorer(inheritance.LosesClaims, 6),
    "gives a piece the coverage of another": _restorer(inheritance.LosesCoverage, 8),
    "keeps what is its sibling's": _restorer(inheritance.KeepsForeignRows, 6),
    "restores no claims": _restorer(inheritance.RestoresNoClaims, 6),
    "restores no timers": _restorer(inheritance.RestoresNoTimers, 6),
    "skips a record behind a snapshot": _restorer(inheritance.SkipsARecord, 16),
    "starts a child without its parents": _restorer(inheritance.StartsWithoutItsParents, 6),
    "takes another shard's snapshot": _restorer(inheritance.BelievesStrangers, 6),
    # the step
    "forgets sources that ended": _machine(machines.ForgetsEndedSources, 6),
    "judges broadcasts by their first piece": _machine(machines.JudgesBroadcastsByTheFirstPiece, 6),
    "keeps one watermark a shard": _machine(machines.KeepsOneWatermarkAShard, 6),
    "takes repeats": _machine(machines.TakesRepeats, 6),
    "takes the last output again": _machine(machines.TakesTheLastOutputAgain, 6),
    "takes what is for others": _machine(machines.TakesWhatIsForOthers, 24),
    "fires timers in the order of setting": _machine(machines.FiresTimersInOrderOfSetting, 9),
    "fires timers behind the record": _machine(machines.FiresTimersBehindTheRecord, 6),
    "fires one timer a record": _machine(machines.FiresOneTimerARecord, 6),
    "moves time at a commit": _machine(machines.MovesTimeAtACommit, 6),
    "covers every piece by one marker": _machine(machines.CoversEveryPiece, 6),
    "finalises with the first marker": _machine(machines.FinalisesWithTheFirstMarker, 6),
    "sends one marker for all ranges": _machine(machines.SendsOneMarkerForAllRanges, 6),
    "counts lineages from the start": _machine(machines.CountsLineagesFromTheStart, 6),
    "keeps a head per batch": _machine(machines.KeepsAHeadPerBatch, 6),
    "ignores unknown behaviours": _machine(machines.IgnoresUnknownBehaviours, 6),
    "drops poison": _machine(machines.DropsPoison, 6, "N"),
    "believes edges what only shards may say": _machine(machines.BelievesEdges, 6, "DM"),
    # the hub
    "remembers the last order only": _dedupe(agents.RemembersTheLastOrderOnly, 6, "N"),
    "claims payment ids": _dedupe(agents.ClaimsPaymentIds, 6, "N"),
    "claims for seconds": _dedupe(agents.ClaimsForSeconds, 6, "NS"),
    "takes orders from the future": _dedupe(agents.TakesOrdersFromTheFuture, 6, "N"),
    "takes conflicts for repeats": _dedupe(agents.TakesConflictsForRepeats, 6, "N"),
    "scores by the clock": _product(products.hub(fraud=agents.fraud_by_the_clock), 6),
    "takes a cache for state": _product(products.hub(fraud=lambda _time: agents.FraudThatForgetsToPut), 6),
    # the clearing
    "posts after expiry": _clearing(agents.PostsAfterExpiry, 6, "MN"),
    "keeps the reservations of the expired": _clearing(agents.KeepsReservationsOfTheExpired, 6, "M"),
    "releases in limbo": _clearing(agents.ReleasesInLimbo, 6, "E"),
    "expires what a foreign rail decides": _clearing(agents.ExpiresWhatAForeignRailDecides, 6, "N"),
    "never asks again": _clearing(agents.NeverAsksAgain, 6, "N"),
    "lets a rejected payment be accepted": _clearing(agents.LetsARejectedPaymentBeAccepted, 6, "MN"),
    "takes any answer for yes": _clearing(agents.TakesAnyAnswerForYes, 6, "N"),
    "tells one side only": _clearing(agents.TellsOneSideOnly, 6, "N"),
    "credits twice": _clearing(agents.CreditsTwice, 6, "M"),
    "credits the payee twice": _clearing(agents.CreditsThePayeeTwice, 6, "S"),
    "settles again when answered again": _clearing(agents.SettlesAgainWhenAnsweredAgain, 6, "S"),
    "chooses the cycle of a credit anew": _clearing(agents.ChoosesTheCycleOfACreditAnew, 8, "M"),
    "checks no cap": _clearing(agents.ChecksNoCap, 6, "M"),
    "counts no reservations": _clearing(agents.CountsNoReservations, 6, "M"),
    "frees the cap at a cut-off": _clearing(agents.FreesTheCapAtACutOff, 12, "M"),
    "frees the cap before settlement": _clearing(agents.FreesTheCapBeforeSettlement, 12, "M"),
    "counts credits of closed cycles": _clearing(agents.CountsCreditsOfClosedCycles, 30, "M"),
    "counts no credits": _clearing(agents.CountsNoCredits, 6, "M"),
    "forgets refused identities": _clearing(agents.ForgetsRefusedIdentities, 24, "M"),
    "claims nothing": _clearing(agents.ClaimsNothing, 6, "MNS"),
    "forgets what has ended": _clearing(agents.ForgetsWhatHasEnded, 6, "N"),
    "chooses cycles by the clock": _product(products.clearing(agents.cycles_by_the_clock), 6),
    "trusts any clock": _product(products.trusting_any_clock, 12, "MN"),
    "trusts no clock": _product(products.trusting_no_clock, 6, "MN"),
    "is bounded by the machine": _product(products.bounded_by_the_machine, 6),
    "asks by the machine": _product(products.asking_by_the_machine, 6),
}
