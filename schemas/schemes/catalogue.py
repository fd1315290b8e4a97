"""All scheme profiles by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.schemes.fps import FPS
from schemas.schemes.sct_inst import SCT_INST, SCT_INST_FOREIGN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.schemes.profile import SchemeProfile

SCHEMES: Final[Mapping[str, SchemeProfile]] = {scheme.name: scheme for scheme in (FPS, SCT_INST, SCT_INST_FOREIGN)}
