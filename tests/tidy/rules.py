"""The house rules a machine can check: each takes a source and yields `file:line: what to do`."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator

from tests.tidy.source import Source

Rule = Callable[[Source], Iterator[str]]

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

# Event-loop time is the only clock, so that everything also runs in virtual time; seeded `random.Random`
# objects are the only chance, so that every run can be repeated.
BANNED_CALLS = {
    **dict.fromkeys(
        ("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns"),
        "use asyncio.get_running_loop().time(), or take the time as an argument",
    ),
    "time.sleep": "use asyncio.sleep",
    **dict.fromkeys(
        (
            "datetime.datetime.now",
            "datetime.datetime.utcnow",
            "datetime.datetime.today",
            "datetime.date.today",
        ),
        "take the time as an argument; the few files that may look at the calendar are in CALENDAR_FILES",
    ),
    **dict.fromkeys(
        ("eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads"),
        "nothing that was read is ever run as a program",
    ),
}
BANNED_PREFIXES = {
    "random.": "use a seeded random.Random object",
    "numpy.random.": "use a seeded numpy.random.default_rng",
}
SEEDED = {"random.Random", "numpy.random.default_rng", "numpy.random.Generator", "numpy.random.PCG64"}

# Wall-clock time enters here and nowhere else; each with its reason.
CALENDAR_FILES = {
    "controller/clock.py": "the UTC in a snapshot, with whether it is trusted",
}

IMPURE_CALLS = {"open", "print", "input", "breakpoint"}
ANY_ERROR = {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}
LOOKING_AWAY = {
    f"pytest.{name}" for name in ("skip", "xfail", "importorskip", "mark.skip", "mark.skipif", "mark.xfail")
}


def short_file(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{source.path}:{lines}: {lines} lines, {LONGEST_FILE} allowed: move one of its ideas out"


def short_functions(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield source.at(node, f"{node.name} has {lines} lines, {LONGEST_FUNCTION} allowed: split it")


def says_what_it_is(source: Source) -> Iterator[str]:
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield f"{source.path}:1: no docstring: say in a line what this file is for"


def named_errors(source: Source) -> Iterator[str]:
    advice = "catch what you can name, where you can act on it"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(error is None or source.dotted(error) in ANY_ERROR for error in caught):
                yield source.at(node, f"this catches everything: {advice}")
        elif (
            isinstance(node, ast.Call)
            and source.dotted(node.func) == "contextlib.suppress"
            and any(source.dotted(error) in ANY_ERROR for error in node.args)
        ):
            yield source.at(node, f"this suppresses everything: {advice}")


def no_banned_calls(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        # A bare reference (`key=time.monotonic`) reaches the clock as well as a call does.
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        name = source.dotted(node)
        if name is None or name in SEEDED:
            continue
        if name.startswith("datetime.") and source.path in CALENDAR_FILES:
            continue
        advice = BANNED_CALLS.get(name)
        for prefix, prefix_advice in BANNED_PREFIXES.items():
            if name.startswith(prefix):
                advice = prefix_advice
        if advice:
            yield source.at(node, f"{name}: {advice}")


def no_shell(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "shell"
            and getattr(node.value, "value", None) is not False
        ):
            yield source.at(node.value, "shell=...: name the program and its arguments in a list")


def pure(source: Source) -> Iterator[str]:
    if not source.is_pure:
        return
    advice = "this package is pure: what a function needs is an argument, what it finds is its result"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield source.at(node, f"async: {advice}")
        elif isinstance(node, ast.Call) and source.dotted(node.func) in IMPURE_CALLS:
            yield source.at(node, f"{source.dotted(node.func)}(): {advice}")
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield source.at(node, f"state outside the function: {advice}")


def no_looking_away(source: Source) -> Iterator[str]:
    advice = "a test that does not run proves nothing: let it fail with a clear sentence"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name) and source.dotted(node) in LOOKING_AWAY:
            yield source.at(node, f"{source.dotted(node)}: {advice}")


def excused_only_with_reason(source: Source) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT:
            continue
        excuse = re.search(
            r"#\s*(type:\s*ignore|noqa|pragma:\s*no cover)(\[[^\]]*\]|:\s*[A-Z0-9, ]+)?(.*)", token.string
        )
        if excuse and not re.search(r"[a-z]{3}", excuse[3]):
            line = token.start[0]
            yield f"{source.path}:{line}: {excuse[1]} without a reason: write `# {excuse[1]}[...]  # why`"


PYTHON_RULES: tuple[Rule, ...] = (
    short_file,
    short_functions,
    says_what_it_is,
    named_errors,
    no_looking_away,
    excused_only_with_reason,
)
PRODUCT_RULES: tuple[Rule, ...] = (no_banned_calls, no_shell, pure)

# Put together at run time, or this very file would be a finding.
FORBIDDEN_TEXT = {
    r"(?<![\w./~$}-])/(?:work|home|root|Users)/": "a path of one machine: say it relative to the tree",
    r"(?i)\b(?:files\.)?py" + r"(?:pi\.org|thonhosted\.org)": "a package index: leave that to the user",
    r"(?m)^\s*(?:--(?:extra-)?index-url|--find-links|-i |-f )": "a package index: leave that to the user",
    r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b": "unfinished: do it, or open an issue",
    r"\bNotImpl" + r"ementedError\b": "a stub: write it, or leave it out",
}


def no_forbidden_text(source: Source) -> Iterator[str]:
    for pattern, advice in FORBIDDEN_TEXT.items():
        for match in re.finditer(pattern, source.text):
            line = source.text.count("\n", 0, match.start()) + 1
            yield f"{source.path}:{line}: {match[0].strip()!r}: {advice}"
