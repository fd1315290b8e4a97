"""Whatever the bytes are, there is a verdict: no other error, no line break, no value whole."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.iso20022.message_name import SPOKEN
from schemas.iso20022.validation import validate
from schemas.iso20022.walk import FAULTS_MAX
from schemas.iso20022.writing import write_message
from schemas.schemes.catalogue import SCHEMES
from schemas.schemes.profile import SchemeProfile
from tests.unit.iso20022.examples import EXAMPLES

ACCOUNT = "DE89370400440532013000"
DOCUMENTS = [write_message(name, EXAMPLES[name]) for name in SPOKEN]
schemes = st.sampled_from([None, *SCHEMES.values()])


def check(document: bytes, scheme: SchemeProfile | None) -> None:
    verdict = validate(document, scheme)

    assert len(verdict.violations) <= FAULTS_MAX + 20
    for violation in verdict.violations:
        assert "\n" not in str(violation)
        assert ACCOUNT not in violation.message


@given(st.binary(max_size=300), schemes)
@example(b"\xff\xfe", None)
@example(b"<?xml version='1.0' encoding=''?><a/>", None)
@example(b"<?xml version='9'?><a/>", None)
def test_any_bytes(document: bytes, scheme: SchemeProfile | None) -> None:
    check(document, scheme)


@given(st.text(alphabet="<>/!?-[]&;'\"= \n:axDocument\ud7ff\u0000é", max_size=120), schemes)
def test_any_text_that_looks_like_xml(text: str, scheme: SchemeProfile | None) -> None:
    check(text.encode("utf-8", "surrogatepass"), scheme)


@given(
    st.sampled_from(DOCUMENTS),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 60), st.binary(max_size=12)), min_size=1, max_size=4),
    schemes,
)
def test_any_message_with_other_bytes_in_it(
    document: bytes, edits: list[tuple[int, int, bytes]], scheme: SchemeProfile | None
) -> None:
    for at, length, inserted in edits:
        document = document[:at] + inserted + document[at + length :]
    check(document, scheme)


@given(st.sampled_from(DOCUMENTS), st.sampled_from(["utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252"]), schemes)
def test_any_message_in_another_encoding(document: bytes, encoding: str, scheme: SchemeProfile | None) -> None:
    check(document.decode().encode(encoding, "replace"), scheme)
