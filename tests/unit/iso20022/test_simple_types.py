"""A text is a value of a simple type if XML Schema says so, as libxml2 understands it."""

from __future__ import annotations

from itertools import product

import pytest
from lxml import etree

from schemas.iso20022 import simple_types
from schemas.iso20022.simple_types import Base64, Check, DecimalNumber, Pattern, Text

DATES = [
    "2025-10-05",
    "2024-02-29",
    "2025-02-29",
    "1900-02-29",
    "2000-02-29",
    "0000-01-01",
    "-0004-02-29",
    "12025-01-01",
    "02025-01-01",
    "2025-13-01",
    "2025-00-01",
    "2025-04-31",
    "2025-1-01",
    "+2025-01-01",
    "9223372036854775807-01-01",
    "9223372036854775808-01-01",
    "99999999999999999999-01-01",
]
TIMES = [
    "00:00:00",
    "24:00:00",
    "24:00:00.0",
    "24:00:01",
    "24:00:00.1",
    "23:59:60",
    "23:59:59.123456789",
    "12:00",
    "1:00:00",
    "12:00:00.",
    "25:00:00",
]
ZONES = ("", "Z", "z", "+14:00", "-14:00", "+14:01", "+13:60", "+1:00", "+0100", "-00:00")
SPACES = (("", ""), (" ", ""), ("\n\t", ""), ("", " "), ("", "\r\n"), (" ", " "), ("\u00a0", ""), ("", "\u00a0"))
NUMBERS = (
    *[
        "0",
        "-0",
        "+1",
        "1.",
        ".5",
        ".",
        "+",
        "-",
        "1e5",
        "NaN",
        "INF",
        "٣",
        "1_0",
        "0.00001",
        "0.000001",
        "1.1000000",
        "0001",
        "-1",
        "-0.1",
    ],
    *("", "1 0", "9" * 18, "9" * 19, "9" * 13 + ".99999", "9" * 14 + ".99999", "0" * 50),
)


def judge(base: str, facets: str = "") -> etree.XMLSchema:
    return etree.XMLSchema(
        etree.fromstring(
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="a"><xs:simpleType>'
            f'<xs:restriction base="xs:{base}">{facets}</xs:restriction></xs:simpleType></xs:element></xs:schema>'
        )
    )


def differing(check: Check, schema: etree.XMLSchema, texts: list[str]) -> list[str]:
    """Return the texts of which one takes what the other refuses; both must do both."""
    element = etree.Element("a")
    verdicts = set()
    differ = []
    for text in texts:
        element.text = text
        verdict = schema.validate(element)
        verdicts.add(verdict)
        if verdict != (check(text) is None):
            differ.append(text)
    assert verdicts == {True, False}
    return differ


@pytest.mark.parametrize(
    ("check", "base", "values"),
    [
        (simple_types.date, "date", DATES),
        (simple_types.time, "time", TIMES),
        (simple_types.date_time, "dateTime", [f"{date}T{time}" for date, time in product(DATES, TIMES)]),
        (simple_types.year, "gYear", [date.rpartition("-")[0].rpartition("-")[0] for date in DATES]),
        (simple_types.year_month, "gYearMonth", [date.rpartition("-")[0] for date in DATES]),
        (simple_types.boolean, "boolean", ("true", "false", "1", "0", "TRUE", "yes", "", "2", "01")),
    ],
)
def test_a_check_takes_what_the_type_takes(check: Check, base: str, values: list[str]) -> None:
    texts = [f"{left}{value}{zone}{right}" for value, zone, (left, right) in product(values, ZONES, SPACES)]

    assert differing(check, judge(base), texts) == []


@pytest.mark.parametrize(
    ("total", "fraction", "negative"), [(18, 5, False), (11, 10, True), (18, 0, True), (18, 17, True)]
)
def test_a_number_has_the_digits_that_count(total: int, fraction: int, negative: bool) -> None:
    lowest = "" if negative else '<xs:minInclusive value="0"/>'
    facets = f'<xs:fractionDigits value="{fraction}"/><xs:totalDigits value="{total}"/>{lowest}'
    texts = [f"{left}{number}{right}" for number, (left, right) in product(NUMBERS, SPACES)]

    assert differing(DecimalNumber(total, fraction, may_be_negative=negative), judge("decimal", facets), texts) == []


def test_a_text_has_its_length_in_characters_and_keeps_its_space() -> None:
    schema = judge("string", '<xs:minLength value="1"/><xs:maxLength value="3"/>')

    assert (
        differing(Text(1, 3), schema, ["", " ", "\n", "abc", " ab", "abcd", "   ", "    ", "😀😀😀", "😀😀😀😀"]) == []
    )


def test_a_pattern_describes_all_of_a_text() -> None:
    for expression in ("[A-Z]{3,3}", r"\+[0-9]{1,3}-[0-9()+\-]{1,30}", "[0-9]{1,15}"):
        texts = ["EUR", "EUR\n", " EUR", "EURO", "eur", "+49-(0)1", "+49-", "1", "1\n", "", "٣", "1" * 16]
        assert differing(Pattern(expression), judge("string", f'<xs:pattern value="{expression}"/>'), texts) == []


def test_base_64_may_have_space_anywhere() -> None:
    texts = ["", "QQ==", "QQ=", "QUI=", "QUJD", " QU\nJD ", "QR==", "QUK=", "Q", "QUJDQ", "QQ= =", "====", "Q!=="]

    assert differing(Base64(), judge("base64Binary"), texts) == []
