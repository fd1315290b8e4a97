"""What the code says of itself: the docstrings of classes, and the strings under fields and constants.

Python keeps the first and forgets the second, so those are read from the source.
"""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def text_of(thing: object) -> str:
    """Return a docstring as Markdown, its paragraphs as they are."""
    return (inspect.getdoc(thing) or "").replace("``", "`")


def line_of(thing: object) -> str:
    """Return a docstring as one line of Markdown."""
    return " ".join(text_of(thing).split())


def fields_of(described: type) -> dict[str, str]:
    """Return what stands under each field of a class, as one line of Markdown; nothing where nothing stands."""
    (definition,) = ast.parse(inspect.getsource(described)).body
    return _described_in(definition.body if isinstance(definition, ast.ClassDef) else ())


def constants_of(module: ModuleType) -> dict[str, str]:
    """Return what stands under each constant of a module that has something under it, as one line of Markdown."""
    return {name: text for name, text in _described_in(ast.parse(inspect.getsource(module)).body).items() if text}


def _described_in(body: Iterable[ast.stmt]) -> dict[str, str]:
    statements = list(body)
    described = {}
    for statement, following in zip(statements, [*statements[1:], None], strict=True):
        for name in _names_given_by(statement):
            described[name] = _string(following)
    return described


def _names_given_by(statement: ast.stmt) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _string(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).replace("``", "`").split())
    return ""
