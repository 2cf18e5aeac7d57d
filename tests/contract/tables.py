"""Tables in a page of documentation that are made from the code."""

from __future__ import annotations

from collections.abc import Mapping


def with_tables(page: str, tables: Mapping[str, str], name: str) -> str:
    """The page with its tables as the code has them; ValueError when a marker is missing or stands twice."""
    for key, table in tables.items():
        begin, end = f"<!-- {key}: begin -->", f"<!-- {key}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
            raise ValueError(f"{name} needs `{begin}` and after it `{end}`, each once")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"
    return page
