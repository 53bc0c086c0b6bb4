"""Tables in the terminal."""

from typing import Any


def print_table(title: str, header: list[str], rows: list[list[Any]]) -> None:
    """Print right-aligned columns under a title; floats with four significant digits."""
    text = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [header, *text]) for i in range(len(header))]
    print(f"\n{title}")
    for line in [header, *text]:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)
