"""ISO's own schemas as the judge of our verdicts, where somebody has put them.

They are ISO's, so the repository does not contain them: PAYMENTS_XSD_DIR says where they are, or else they are looked
for beside the repository.  Without them these tests are skipped, also where CI=true: nobody may put them into the
repository, and no package has them.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from schemas.iso20022.message_name import MessageName

_BESIDE = Path(__file__).parents[3].parent / "shared" / "iso20022" / "xsd"
FOLDER = Path(os.environ.get("PAYMENTS_XSD_DIR") or _BESIDE)
NAMES = tuple(name for path in sorted(FOLDER.glob("*.xsd")) if (name := MessageName.in_text(path.stem)))

needs_schemas = pytest.mark.skipif(
    not NAMES,
    reason=f"ISO's schemas are not in {FOLDER}: what the tables say is compared with nothing",
)


def path_of(name: MessageName) -> Path:
    return FOLDER / f"{name}.xsd"


@cache
def schema_of(name: MessageName) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path_of(name)))


def accepts(name: MessageName, document: bytes) -> bool:
    """Return the schema's verdict; what is no XML is not accepted."""
    try:
        return schema_of(name).validate(etree.fromstring(document, etree.XMLParser(resolve_entities=False)))
    except etree.XMLSyntaxError:
        return False
