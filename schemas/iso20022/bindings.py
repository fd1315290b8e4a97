"""Which field of an event is which element of a transaction, and how its text becomes a value and a text again.

A text can say more than the value: ``12.3`` for 12.30, a time in another zone.  Such a text stays in the remainder, and
is used again as long as it still says what the event says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from schemas.iso20022.elements import amount
from schemas.iso20022.errors import NotConvertibleError
from schemas.iso20022.walk import Amount, Content, Value
from schemas.money import MINOR_DIGITS, Money

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
_MIDNIGHT_TO_COME: Final = "T24:00:00"


@dataclass(frozen=True, slots=True)
class Codec:
    """Between the text of an element and the value of a field."""

    decode: Callable[[Any], Any]
    """Raises ``ValueError`` for what no field can hold."""
    encode: Callable[[Any], Value]
    nothing: object = None
    """The value where the element is not there; None if it must be."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One field and its place."""

    attribute: str
    """Of the event; ``debtor.agent`` of what it holds."""
    place: str
    """The names of elements from the transaction on, with slashes between; ``[]`` behind one that may be repeated."""
    codec: Codec
    of: Callable[[Any], Any] = field(init=False, repr=False, compare=False)
    """Returns the field's value in an event."""
    steps: tuple[tuple[str, bool], ...] = field(init=False)
    """The names, and whether each may be repeated."""

    def __post_init__(self) -> None:
        steps = tuple((name.removesuffix("[]"), name.endswith("[]")) for name in self.place.split("/"))
        object.__setattr__(self, "of", attrgetter(self.attribute))
        object.__setattr__(self, "steps", steps)

    def take(self, transaction: Content) -> Any:  # noqa: ANN401 - a field's value
        """Return the field's value, and leave in the transaction only what it does not say."""
        holder = self._holder(transaction)
        name, _ = self.steps[-1]
        found = None if holder is None else holder.get(name)
        text = _only(found)
        if holder is None or text is None:
            if self.codec.nothing is None:
                raise NotConvertibleError(f"{self.place}: is not there, or more than once")
            return self.codec.nothing
        try:
            value = self.codec.decode(text)
        except ValueError as failure:
            raise NotConvertibleError(f"{self.place}: {failure}") from None
        if self.codec.encode(value) == text:
            holder[name] = [] if isinstance(found, list) else ""
        return value

    def give(self, value: Any, transaction: Content) -> None:  # noqa: ANN401 - a field's value
        """Put the field's value back, unless a text that says the same is still there."""
        name, repeated = self.steps[-1]
        holder = self._holder(transaction)
        text = None if holder is None else _only(holder.get(name))
        if value == self.codec.nothing:
            if holder is not None and text is None and not holder.get(name, True):
                del holder[name]
        elif text is None or self.codec.decode(text) != value:
            encoded = self.codec.encode(value)
            self._made_holder(transaction)[name] = [encoded] if repeated else encoded

    def _holder(self, transaction: Content) -> Content | None:
        """Return what holds the last name of the place: of what is repeated the first."""
        holder: Value | None = transaction
        for name, _ in self.steps[:-1]:
            holder = holder.get(name) if isinstance(holder, dict) else None
            if isinstance(holder, list):
                holder = holder[0] if holder else None
        return holder if isinstance(holder, dict) else None

    def _made_holder(self, transaction: Content) -> Content:
        holder = transaction
        for name, repeated in self.steps[:-1]:
            inner = holder.setdefault(name, [{}] if repeated else {})
            if isinstance(inner, list):
                inner = inner[0]
            if not isinstance(inner, dict):
                raise TypeError(f"{name} holds no elements")
            holder = inner
        return holder


def _only(found: Value | None) -> str | Amount | None:
    """Return the text that stands in a place, if exactly one does."""
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else None
    return None if not found or isinstance(found, dict | list) else found


def _money(said: Amount) -> Money:
    digits = MINOR_DIGITS.get(said.currency)
    if digits is None:
        raise ValueError(f"unknown currency {said.currency}")
    minor = Decimal(said.number).scaleb(digits)
    if minor != int(minor):
        raise ValueError(f"is no whole number of minor units of {said.currency}")
    return Money(int(minor), said.currency)


def moment_us(text: str) -> int:
    """Return a time with its zone as microseconds since the epoch; ``ValueError`` if it has no zone."""
    tomorrow = _MIDNIGHT_TO_COME in text
    moment = datetime.fromisoformat(text.replace(_MIDNIGHT_TO_COME, "T00:00:00") if tomorrow else text)
    if moment.tzinfo is None:
        raise ValueError("says no time zone")
    return (moment - _EPOCH + timedelta(days=tomorrow)) // _MICROSECOND


def moment_text(us: int) -> str:
    """Return a time in UTC, without zeros at the end of its fraction."""
    seconds, fraction_us = divmod(us, _SECOND_US)
    return f"{_second_text(seconds)}.{fraction_us:06}".rstrip("0").removesuffix(".") + "Z"


@lru_cache(maxsize=1_024)
def _second_text(seconds: int) -> str:
    """Return a second of the epoch as date and time: many times of one message, or of one moment, are in it."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat().removesuffix("+00:00")


TEXT: Final = Codec(str, str)
OPTIONAL_TEXT: Final = Codec(str, str, nothing="")
MONEY: Final = Codec(_money, amount)
MOMENT: Final = Codec(moment_us, moment_text)
OPTIONAL_MOMENT: Final = Codec(moment_us, moment_text, nothing=0)
