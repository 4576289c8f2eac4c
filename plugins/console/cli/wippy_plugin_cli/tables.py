"""Tables on the terminal; in a pipe a line is never folded, so that other programs can read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_table"]

#: Columns of a pipe: more than any line has.
_ENDLESS = 100_000


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a head line."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_ENDLESS)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
