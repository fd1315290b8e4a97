"""People, companies and their accounts: names in several scripts, every form of address, valid IBANs that nobody has.

Bank codes in IBANs are zeros, or the letters of the test BICs of ``agents.edge.workload.population``, and so none that
a country has given out; the check digits are right.
"""

from __future__ import annotations

from typing import Final

from agents.edge.workload.draws import Draws
from schemas.iso20022.walk import Content

_PEOPLE: Final = (
    "Anna Schmidt", "José Núñez", "Zoë Müller-Lüdenscheidt", "Łukasz Żółć", "Siobhán O'Brien", "François d'Àvila",
    "Μαρία Παπαδοπούλου", "Иван Петров", "Jürgen Weiß", "Ingrid Ångström",
    "Aoife Ní Dhomhnaill", "渡辺 健", "N. Nguyễn",
)  # fmt: skip
_COMPANIES: Final = (
    "Bäckerei Krüger & Söhne GmbH", "Café de l'Été SARL", "Smith, Jones & Co. (Holdings) Ltd", "Ødegård Fisk AS",
    "S.C. Țară Frumoasă S.R.L.", "Ziggo <Retail> B.V.",
)  # fmt: skip
_STREETS: Final = ("Hauptstraße", "Rue de la Paix", "Calle Mayor", "O'Connell Street", "Plac Żeglarski")
_TOWNS: Final = ("Köln", "Orléans", "Logroño", "Dún Laoghaire", "Kraków", "Liège")
_DIGITS: Final = "0123456789"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BBAN: Final = {
    "AT": "0000099999999999",
    "BE": "000999999999",
    "DE": "000000009999999999",
    "ES": "00000000999999999999",
    "FR": "0000000000X999999999999",
    "GB": "BBBB00000099999999",
    "IE": "BBBB00000099999999",
    "IT": "X0000000000999999999999",
    "NL": "BBBB9999999999",
}
"""9 is any digit, X any letter, B the letters of the bank's BIC."""


def draw_iban(draws: Draws, bic: str) -> str:
    """Return an IBAN at the bank with a BIC, by its country's rules."""
    country, letters = bic[4:6], iter(bic[:4])
    drawn = {"9": lambda: draws.pick(_DIGITS), "X": lambda: draws.pick(_LETTERS), "B": lambda: next(letters)}
    bban = "".join(drawn[form]() if form in drawn else form for form in _BBAN[country])
    return f"{country}{_check_digits(country, bban)}{bban}"


def _check_digits(country: str, bban: str) -> str:
    """Return the two digits that make the number, its first four characters put last, 1 modulo 97 (ISO 13616)."""
    number = "".join(str(int(character, 36)) for character in f"{bban}{country}00")
    return f"{98 - int(number) % 97:02d}"


def draw_account(draws: Draws, bic: str) -> Content:
    """Return an account: an IBAN, or in Britain mostly a sort code and a number."""
    if bic[4:6] == "GB" and draws.happens(7_000):
        number = "".join(draws.pick(_DIGITS) for _ in range(8))
        return {"Id": {"Othr": {"Id": f"000000{number}", "SchmeNm": {"Cd": "BBAN"}}}}
    account: Content = {"Id": {"IBAN": draw_iban(draws, bic)}}
    if draws.happens(1_000):
        account["Nm"] = draws.pick(_PEOPLE)
    return account


def draw_party(draws: Draws, country: str) -> Content:
    """Return somebody who pays or is paid: a person or a company, with or without an address and an identification."""
    is_company = draws.happens(4_000)
    party: Content = {"Nm": draws.pick(_COMPANIES if is_company else _PEOPLE)}
    if draws.happens(6_000):
        party["PstlAdr"] = _draw_address(draws, country)
    if draws.happens(2_500):
        party["Id"] = {"OrgId": _draw_organisation(draws)} if is_company else {"PrvtId": _draw_person(draws, country)}
    if draws.happens(1_000):
        party["CtryOfRes"] = country
    return party


def _draw_address(draws: Draws, country: str) -> Content:
    street, town = draws.pick(_STREETS), draws.pick(_TOWNS)
    number, code = str(draws.between(1, 250)), f"{draws.between(1_000, 99_999):05d}"
    match draws.below(4):
        case 0:
            return {"Ctry": country, "AdrLine": [f"{street} {number}", f"{code} {town}"]}
        case 1:
            return {"StrtNm": street, "BldgNb": number, "PstCd": code, "TwnNm": town, "Ctry": country}
        case 2:
            return {"TwnNm": town, "Ctry": country, "AdrLine": [f"{street} {number}"]}
        case _:
            return {
                "AdrTp": {"Cd": draws.pick(("ADDR", "HOME", "BIZZ"))},
                "Dept": "Accounts",
                "StrtNm": street,
                "BldgNm": "Haus A",
                "Flr": "3",
                "PstBx": number,
                "TwnNm": town,
                "CtrySubDvsn": "North",
                "Ctry": country,
            }


def _draw_organisation(draws: Draws) -> Content:
    if draws.happens(5_000):
        return {"LEI": f"{draws.token()[:18].upper()}{draws.between(10, 99)}"}
    return {"Othr": [{"Id": draws.token()[:12].upper(), "SchmeNm": {"Cd": "TXID"}, "Issr": "Tax office"}]}


def _draw_person(draws: Draws, country: str) -> Content:
    if draws.happens(5_000):
        born = f"{draws.between(1940, 2005)}-{draws.between(1, 12):02d}-{draws.between(1, 28):02d}"
        return {"DtAndPlcOfBirth": {"BirthDt": born, "CityOfBirth": draws.pick(_TOWNS), "CtryOfBirth": country}}
    return {"Othr": [{"Id": draws.token()[:9].upper(), "SchmeNm": {"Cd": "CCPT"}}]}
