"""ISO's own schemas as a second judge, where somebody has them: they are ISO's, and not part of this project.

A folder has a file for each message, by its name: ``pacs.008.001.08.xsd``.  Where the schema and our tables differ
about a message, that is a violation of its own, ``xsd``, whoever is right.  What libxml2 says of a value is left out,
since the value may be an account number; its name for the rule is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from lxml import etree

from schemas.errors import Fault
from schemas.iso20022.errors import NoSchemaError
from schemas.iso20022.message_name import MessageName
from schemas.iso20022.messages import Message

RULE: Final = "xsd"
_OURS: Final = "schema."


class IsoSchemas:
    """The schemas in a folder, each read when a message first needs it."""

    def __init__(self, folder: Path) -> None:
        """Raise ``NoSchemaError`` if there is no such folder."""
        if not folder.is_dir():
            raise NoSchemaError(f"{folder} is no folder of ISO's schemas")
        self._folder = folder
        self._schemas: dict[MessageName, etree.XMLSchema] = {}

    def differences(self, message: Message) -> Iterator[Fault]:
        """Find where the schema judges a message otherwise; ``NoSchemaError`` if the folder has none for it."""
        if message.name is None or message.element is None:
            return
        document = message.element
        if not message.has_document:
            document = etree.Element(f"{{{message.name.namespace}}}Document")
            document.append(deepcopy(message.element))
        schema = self._schema_of(message.name)
        accepted = schema.validate(etree.ElementTree(document))
        ours = next((fault for fault in message.faults if fault.rule.startswith(_OURS)), None)
        if accepted and ours is not None:
            yield Fault(ours.path, RULE, f"ISO's schema takes it; our tables do not: {ours.message}")
        elif not accepted and ours is None:
            errors: Any = schema.error_log
            for error in errors:
                yield Fault(message.path, RULE, f"ISO's schema does not take it: line {error.line}, {error.type_name}")

    def _schema_of(self, name: MessageName) -> etree.XMLSchema:
        if name not in self._schemas:
            file = self._folder / f"{name}.xsd"
            try:
                self._schemas[name] = etree.XMLSchema(etree.parse(file))
            except (OSError, etree.LxmlError) as failure:
                raise NoSchemaError(f"{self._folder} has no schema of {name} that can be read: {failure}") from None
        return self._schemas[name]
