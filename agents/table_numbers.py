"""The number of every table: it stands in the rows of the state, so it is for ever."""

from __future__ import annotations

from typing import Final

DIRECTORY: Final = 1
AVAILABILITY: Final = 2

CLAIMS: Final = 16
ACCOUNTS: Final = 17
PAYEE_RISK: Final = 18

TRANSFERS: Final = 32
CLEARED: Final = 33
POSITIONS: Final = 34
SETTLED_CYCLES: Final = 35
OPEN_UETRS: Final = 36
CLEARED_UETRS: Final = 37
