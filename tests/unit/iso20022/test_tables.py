"""The tables are what ISO's schemas say, element by element, for each message whose schema is at hand."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from schemas.iso20022 import simple_types
from schemas.iso20022.message_name import MessageName
from schemas.iso20022.simple_types import Check, DecimalNumber, Enumeration, Pattern, Text
from schemas.iso20022.tables import UNBOUNDED, Leaf, Structure, Wildcard, table_of
from tests.unit.iso20022.iso_schemas import NAMES, needs_schemas, path_of

XS = "{http://www.w3.org/2001/XMLSchema}"
BUILT_IN: dict[str, Check] = {
    "xs:boolean": simple_types.boolean,
    "xs:date": simple_types.date,
    "xs:dateTime": simple_types.date_time,
    "xs:gYear": simple_types.year,
    "xs:gYearMonth": simple_types.year_month,
    "xs:time": simple_types.time,
}


class SchemaReader:
    """A schema's types as the same tuples that ``described`` makes of tables."""

    def __init__(self, name: MessageName) -> None:
        root = etree.parse(path_of(name)).getroot()
        self._types = {kind.get("name"): kind for kind in root if kind.get("name")}
        self._done: dict[str, Any] = {}

    def described(self, type_name: str) -> Any:
        if type_name not in self._done:
            self._done[type_name] = self._described(type_name)
        return self._done[type_name]

    def _described(self, type_name: str) -> Any:
        kind = self._types[type_name]
        if kind.tag == f"{XS}simpleType":
            return (self._check(kind), None, None)
        extension = kind.find(f"{XS}simpleContent/{XS}extension")
        if extension is not None:
            (attribute,) = extension
            value = self._check(self._types[extension.get("base")])
            assert attribute.get("use") == "required"
            return (value, attribute.get("name"), self._check(self._types[attribute.get("type")]))
        (group,) = kind
        is_choice = group.tag == f"{XS}choice"
        if [member.tag for member in group] == [f"{XS}any"]:
            return "anything"
        return (type_name, is_choice, [self._member(member, is_choice) for member in group])

    def _member(self, member: Any, is_choice: bool) -> Any:
        minimum, maximum = int(member.get("minOccurs", 1)), member.get("maxOccurs", "1")
        times = UNBOUNDED if maximum == "unbounded" else int(maximum)
        return (member.get("name"), 0 if is_choice else minimum, times, self.described(member.get("type")))

    def _check(self, kind: Any) -> Check:
        (restriction,) = kind
        base = restriction.get("base")
        facets = {etree.QName(facet).localname: facet.get("value") for facet in restriction}
        if base == "xs:string":
            if "pattern" in facets:
                assert len(facets) == 1
                return Pattern(facets["pattern"])
            values = frozenset(facet.get("value") for facet in restriction.findall(f"{XS}enumeration"))
            if values:
                return Enumeration(values)
            return Text(int(facets.get("minLength", 0)), int(facets.get("maxLength", UNBOUNDED)))
        if base == "xs:decimal":
            assert facets.get("minInclusive", "0") == "0"
            digits = int(facets["totalDigits"]), int(facets["fractionDigits"])
            return DecimalNumber(*digits, may_be_negative="minInclusive" not in facets)
        assert not facets
        return BUILT_IN[base]


def described(kind: Leaf | Structure | Wildcard, is_choice: bool = False) -> Any:
    if isinstance(kind, Wildcard):
        return "anything"
    if isinstance(kind, Leaf):
        return (kind.check, kind.attribute, kind.check_attribute)
    members = [
        (member.name, 0 if kind.is_choice else member.minimum, member.maximum, described(member.kind))
        for member in kind.members.values()
    ]
    return (kind.name, kind.is_choice, members)


@needs_schemas
@pytest.mark.parametrize("name", NAMES, ids=str)
def test_the_tables_of_a_message_are_its_schema(name: MessageName) -> None:
    table = table_of(name)

    assert table is not None
    assert described(table.document) == SchemaReader(name).described("Document")


def test_a_message_without_a_definition_has_no_tables() -> None:
    assert table_of(MessageName("pacs.008", "001", "99")) is None
    assert table_of(MessageName("pacs.099", "001", "01")) is None
    assert table_of(MessageName("auth.001", "001", "01")) is None
