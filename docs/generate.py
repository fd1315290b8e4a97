"""Write the pages that the code says itself: ``python -m docs.generate``.

A test compares what is committed with what this would write, so the pages cannot drift from the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs import event_page, scheme_page

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER: Final = Path(__file__).parent
PAGES: Final[dict[str, Callable[[], str]]] = {"events.md": event_page.page, "schemes.md": scheme_page.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")
