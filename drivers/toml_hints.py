"""What would be right, for the mistakes that a line of TOML most often has: `tomllib` only says where."""

from __future__ import annotations

import re

HINTS = (
    ("[\u201c-\u201f\u2018-\u201b\u00ab\u00bb]", 'quotes are straight: "..."'),
    (r"^\[", "a table is [name], one of several [[name]]"),
    (r'"[^"]*\\', r"in double quotes each \ is written \\"),
    (r"^[\w.-]+\s*(:|$)", "write key = value"),
    (r"=\s*(#|$)", "the value is missing"),
    (r"=\s*(True|False|TRUE|FALSE|[Yy]es|[Nn]o|on|off)\b", "write true or false"),
    (r"=\s*[+-]?[\d.]+,\d", "a decimal comma is a point, and thousands have _ or nothing: 0.32, 17_250"),
    (r",\s*(#|$|\})", "no comma at the end"),
    (r"=\s*[+-]?0\d", "a number does not begin with 0"),
    (r"=\s*[+-]?[\d._]+\s*[^\W\d_]|=\s*[+-]?[\d._]+\s*[%€]", "a number stands alone, its unit is in the key"),
    (r"=\s*[^\W\d_]", 'words stand in quotes: "..."'),
    (r"""^[^"]*"[^"]*$|^[^']*'[^']*$""", "a quote is missing at the end"),
)
"""The first pattern that the line shows says what to do."""
KEY_TWICE = "the key is already there"
TABLE_TWICE = "the table is already there: its keys stand together, and [[x]] above its own [x.y]"


def hint(line: str, what: str) -> str:
    """What to mend in this line, of which `tomllib` says `what`; empty when nothing comes to mind."""
    if what.startswith("Cannot"):
        return TABLE_TWICE if line.startswith("[") else KEY_TWICE
    return next((right for pattern, right in HINTS if re.search(pattern, line)), "")
