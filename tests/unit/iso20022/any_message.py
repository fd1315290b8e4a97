"""Any message that its tables allow: each element now and then, with texts at the edges of what they may be."""

from __future__ import annotations

from random import Random

from schemas.iso20022 import simple_types
from schemas.iso20022.message_name import MessageName
from schemas.iso20022.simple_types import Check, DecimalNumber, Enumeration, Pattern, Text
from schemas.iso20022.tables import Leaf, Member, Structure, Wildcard, table_of
from schemas.iso20022.walk import Amount, Content, Value

_LETTERS = "abcXYZ 019-/?:().,'+éÅßЖ漢😀&<>\"\t"
_OF_PATTERN = {
    "[A-Z]{3,3}": ("EUR", "GBP", "XXX"),
    "[A-Z]{2,2}": ("DE", "ZZ"),
    "[a-z]{2,2}": ("de",),
    "[0-9]": ("0", "7"),
    "[0-9]{2}": ("00", "42"),
    "[0-9]{3}": ("123",),
    "[0-9]{1,3}": ("1", "999"),
    "[0-9]{2,3}": ("12", "999"),
    "[0-9]{3,4}": ("123", "9999"),
    "[0-9]{1,5}": ("1", "99999"),
    "[0-9]{1,15}": ("1", "2", "999999999999999"),
    r"[\+]{0,1}[0-9]{1,15}": ("+1", "15"),
    "[0-9]{8,28}": ("12345678",),
    "[a-zA-Z0-9]{4}": ("ab12",),
    "[A-Z0-9]{18,18}[0-9]{2,2}": ("529900T8BM49AURSDO55",),
    "[A-Z0-9]{4,4}[A-Z]{2,2}[A-Z0-9]{2,2}([A-Z0-9]{3,3}){0,1}": ("ZQAADEX0", "ZQAADEX0ABC"),
    "[A-Z]{2,2}[0-9]{2,2}[a-zA-Z0-9]{1,30}": ("DE89370400440532013000", "GB29NWBK60161331926819"),
    "[A-Z]{2,2}[A-Z0-9]{9,9}[0-9]{1,1}": ("US0378331005",),
    r"\+[0-9]{1,3}-[0-9()+\-]{1,30}": ("+49-30123456", "+1-(555)-12"),
    "[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}": ("8a562c67-ca16-48ba-b074-65581be6f001",),
}
_OF_CHECK: dict[Check, tuple[str, ...]] = {
    simple_types.boolean: ("true", "false", "1", "0"),
    simple_types.date: ("2025-10-05", "2024-02-29", "2025-10-05Z", "2025-10-05+02:00", "-0001-01-01"),
    simple_types.date_time: (
        "2025-10-05T03:30:00",
        "2025-10-05T03:30:00.123+02:00",
        "2024-02-29T24:00:00Z",
        "2025-12-31T23:59:59.999999999-14:00",
    ),
    simple_types.time: ("00:00:00", "24:00:00", "23:59:59.5Z"),
    simple_types.year: ("2025", "12025"),
    simple_types.year_month: ("2025-01", "2025-12Z"),
}


class AnyMessage:
    """Messages of one name, by a seed."""

    def __init__(self, name: MessageName, seed: int, fullness: float = 0.3) -> None:
        table = table_of(name)
        assert table is not None
        self._document = table.document
        self._random = Random(f"{name}/{seed}")
        self._fullness = fullness

    def content(self) -> Content:
        return self._structure(self._document, 0)

    def _structure(self, structure: Structure, depth: int) -> Content:
        members = list(structure.members.values())
        if structure.is_choice:
            member = self._random.choice(members)
            return {member.name: self._repeated(member, depth)}
        return {
            member.name: self._repeated(member, depth)
            for member in members
            if member.minimum or self._random.random() < self._fullness / (1 + depth / 4)
        }

    def _repeated(self, member: Member, depth: int) -> Value:
        if member.maximum == 1:
            return self._value(member.kind, depth)
        times = self._random.choice((1, 1, 1, 2, min(3, member.maximum)))
        return [self._value(member.kind, depth) for _ in range(max(times, member.minimum))]

    def _value(self, kind: Leaf | Structure | Wildcard, depth: int) -> Value:
        if isinstance(kind, Structure):
            return self._structure(kind, depth + 1)
        if isinstance(kind, Wildcard):
            return '<x:Any xmlns:x="urn:x" x:a="1">of <x:b/> anybody</x:Any>'
        text = self._random.choice(sorted(kind.codes.codes)) if kind.codes else self._text(kind.check)
        if kind.check_attribute is None:
            return text
        return Amount(text, self._text(kind.check_attribute))

    def _text(self, check: Check) -> str:
        if isinstance(check, Text):
            longest = min(check.length_max, 40) if self._random.random() < 0.9 else min(check.length_max, 2048)
            length = self._random.choice((check.length_min, longest, self._random.randint(check.length_min, longest)))
            return "".join(self._random.choice(_LETTERS) for _ in range(length))
        if isinstance(check, Pattern):
            return self._random.choice(_OF_PATTERN[check.expression])
        if isinstance(check, Enumeration):
            return self._random.choice(sorted(check.values))
        if isinstance(check, DecimalNumber):
            return self._random.choice(_decimals(check))
        return self._random.choice(_OF_CHECK[check])


def _decimals(check: DecimalNumber) -> tuple[str, ...]:
    whole = "9" * (check.total_digits - check.fraction_digits)
    fraction = "9" * check.fraction_digits
    signed = ("-1.5",) if check.may_be_negative and check.fraction_digits else ()
    short = ("0", "1", "+1.", "007", "-0.0", *signed)
    return (*short, "9" * check.total_digits, f"{whole}.{fraction}" if fraction else whole, f"0{whole}.{fraction}000")
