"""A vault gives every account one token, durably, and back what it was given."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.edge.errors import EdgeError
from agents.edge.vault.accounts import canonical
from agents.edge.vault.contents import content_from_bytes, content_to_bytes
from agents.edge.vault.key import make_key, read_key
from agents.edge.vault.local import FILE, LocalVault, read_vault
from agents.edge.vault.port import Account, OtherRemainderError, UnknownTokenError
from agents.edge.vault.to_come import VaultToCome
from schemas.events import Party
from schemas.iso20022.walk import Amount, Content

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
ANNA, BERT = Account("hub", "DE02120300000000202051"), Account("hub", "DE02500105170137075030")
REMAINDER: Content = {"Dbtr": {"Nm": "Łukasz Żółć"}, "ChrgsInf": [{"Amt": Amount("0.10", "EUR")}], "Lists": ["a", "b"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vault"


def test_an_account_has_one_token_in_any_vault_with_the_key(folder: Path, tmp_path: Path) -> None:
    first, second = LocalVault(folder, KEY), LocalVault(tmp_path / "another", KEY)

    assert first.tokens([ANNA, BERT, ANNA]) == second.tokens([ANNA]) + second.tokens([BERT]) + second.tokens([ANNA])


def test_tokens_differ_by_number_by_tenant_and_by_key(folder: Path, tmp_path: Path) -> None:
    here, elsewhere = LocalVault(folder, KEY), LocalVault(tmp_path / "another", OTHER_KEY)
    accounts = [ANNA, BERT, ANNA._replace(tenant="bank"), Account("hu", f"b{ANNA.number}")]

    assert len({*here.tokens(accounts), *elsewhere.tokens(accounts)}) == 8


def test_an_account_keeps_its_token_when_the_key_changes(folder: Path) -> None:
    vault = LocalVault(folder, KEY)
    given_before = vault.tokens([ANNA])
    vault.close()

    rotated = LocalVault(folder, OTHER_KEY)

    assert rotated.tokens([ANNA]) == given_before
    assert rotated.numbers(rotated.tokens([BERT, ANNA])) == [BERT.number, ANNA.number]


def test_a_token_stands_where_an_event_has_its_account(folder: Path) -> None:
    (token,) = LocalVault(folder, KEY).tokens([ANNA])

    assert Party(token, "DEUTDEFF").account == token
    assert ANNA.number not in token


def test_a_token_that_was_never_given_is_named(folder: Path) -> None:
    with pytest.raises(UnknownTokenError, match="acct_0123"):
        LocalVault(folder, KEY).numbers(["acct_0123"])


def test_another_process_reads_what_a_killed_one_was_told_is_kept(folder: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _KEEP_AND_DIE, str(folder)], check=False, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == -signal.SIGKILL, told.stderr

    reader = read_vault(folder)

    assert reader.numbers([told.stdout.strip()]) == [ANNA.number]
    assert reader.remainders(["pay-1", "pay-2"]) == [{"Dbtr": {"Nm": "Anna"}}, None]


_KEEP_AND_DIE = f"""
import os, signal, sys
from pathlib import Path
from agents.edge.vault.local import LocalVault
from agents.edge.vault.to_come import VaultToCome
from agents.edge.vault.port import Account
vault = LocalVault(Path(sys.argv[1]), bytes(32))
(token,) = vault.tokens([Account({ANNA.tenant!r}, {ANNA.number!r})])
vault.keep({{"pay-1": {{"Dbtr": {{"Nm": "Anna"}}}}}})
print(token, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_reader_sees_what_is_kept_after_it_has_opened(folder: Path) -> None:
    vault = LocalVault(folder, KEY)
    reader = read_vault(folder)

    vault.keep({"pay-1": REMAINDER})

    assert reader.remainders(["pay-1"]) == [REMAINDER]


def test_the_first_remainder_stays_and_the_same_again_is_nothing(folder: Path) -> None:
    vault = LocalVault(folder, KEY)
    vault.keep({"pay-1": REMAINDER})
    vault.keep({"pay-1": dict(reversed(REMAINDER.items()))})

    with pytest.raises(OtherRemainderError, match="pay-1") as refused:
        vault.keep({"pay-0": REMAINDER, "pay-1": {}})

    assert refused.value.ids == {"pay-1"}
    assert vault.remainders(["pay-1", "pay-0"]) == [REMAINDER, None]


def test_only_the_owner_may_open_the_vault(folder: Path) -> None:
    vault = LocalVault(folder, KEY)
    vault.tokens([ANNA])

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob(f"{FILE}*") if path.suffix != ".lock"}
    assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}


def test_one_process_at_a_time_writes_a_vault(folder: Path) -> None:
    _first = LocalVault(folder, KEY)

    with pytest.raises(EdgeError, match="locked"):
        LocalVault(folder, KEY)


def test_a_reader_of_no_vault_is_told_so(folder: Path) -> None:
    with pytest.raises(EdgeError, match="no vault"):
        read_vault(folder)


def test_a_key_is_made_once_and_readable_to_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"

    assert make_key(path) == make_key(path) == read_key(path)
    assert [each.name for each in path.parent.iterdir()] == ["vault.key"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "00" * 31, "zz" * 32, "é" * 64])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vault.key"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(EdgeError, match=f"{path} is no key") as refused:
        read_key(path)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "vault.key"
    path.write_text("00" * 32)
    path.chmod(mode)

    with pytest.raises(EdgeError, match="chmod 600"):
        read_key(path)


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"vault\.key"):
        read_key(tmp_path / "vault.key")


def test_the_ways_to_write_a_number_are_one() -> None:
    assert canonical("de02 1203\t0000 0000 2020 51") == canonical(ANNA.number) == ANNA.number


_names = st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True)
_amounts = st.builds(Amount, st.text(max_size=5), st.text(max_size=3))
_values = st.recursive(
    st.text(max_size=8) | _amounts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
)


@given(st.dictionaries(_names, _values, max_size=4))
def test_a_content_comes_back_from_its_bytes(content: Content) -> None:
    back = content_from_bytes(content_to_bytes(content))

    assert back == content
    assert repr(_sorted(back)) == repr(_sorted(content))


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if type(value) is list else value


def test_a_vault_that_is_not_there_yet_keeps_nothing_and_is_read_when_it_is(folder: Path) -> None:
    to_come = VaultToCome(folder)
    assert to_come.remainders(["pay_1", "pay_2"]) == [None, None]

    vault = LocalVault(folder, KEY)
    vault.keep({"pay_2": REMAINDER})

    assert to_come.remainders(["pay_1", "pay_2"]) == [None, REMAINDER]
    to_come.close()
    vault.close()
