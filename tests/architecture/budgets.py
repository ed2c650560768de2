"""Measure the sizes and the documentation of the source tree: the numbers behind the budgets.

Nothing is imported or executed: files are read and parsed. Run by itself it prints one table.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("panel", "store", "executors", "planner", "daemon", "trainwright")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function and its length in lines, without decorators and docstring."""

    where: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What was counted in a set of files."""

    file_lines: dict[str, int]
    functions: tuple[Function, ...]
    code_lines: int
    undocumented: tuple[str, ...]
    broad_excepts: tuple[str, ...]
    forbidden_names: tuple[str, ...]


FORBIDDEN_WORDS = ("manager", "handler", "helper", "utils", "common")


def source_files(*folders: str) -> list[Path]:
    """Every Python file below the folders, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def measure(paths: list[Path]) -> Tree:
    """Read and count the files."""
    file_lines: dict[str, int] = {}
    functions: list[Function] = []
    undocumented: list[str] = []
    broad: list[str] = []
    named: list[str] = []
    code_lines = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        where = str(path.relative_to(ROOT))
        file_lines[where] = text.count("\n")
        module = ast.parse(text)
        code_lines += _code_lines(module, text)
        functions.extend(_functions(module, where))
        undocumented.extend(_undocumented(module, where))
        broad.extend(_broad_excepts(module, where))
        named.extend(_forbidden_names(module, where))
    return Tree(
        file_lines=file_lines,
        functions=tuple(functions),
        code_lines=code_lines,
        undocumented=tuple(undocumented),
        broad_excepts=tuple(broad),
        forbidden_names=tuple(named),
    )


def quantile(values: list[int], share: float) -> float:
    """The value below which the share of the values lies."""
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def _code_lines(module: ast.Module, text: str) -> int:
    """Lines that hold code: neither empty, nor a comment, nor part of a docstring."""
    prose: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Module | Definition) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            prose.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        1
        for number, line in lines
        if number not in prose and line.strip() and not line.strip().startswith("#")
    )


def _functions(module: ast.Module, where: str) -> Iterator[Function]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_docstring = ast.get_docstring(node, clean=False) is not None
            start = (first.end_lineno or first.lineno) + 1 if has_docstring else node.lineno
            lines = (node.end_lineno or node.lineno) - start + 1
            yield Function(where=f"{where}:{node.lineno} {node.name}", lines=max(lines, 1))


def _undocumented(module: ast.Module, where: str) -> Iterator[str]:
    if ast.get_docstring(module) is None and module.body:
        yield where
    yield from _undocumented_in(module, where)


def _undocumented_in(scope: ast.Module | ast.ClassDef, where: str) -> Iterator[str]:
    for node in scope.body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        overload = any(
            "overload" in ast.unparse(mark) or "setter" in ast.unparse(mark) for mark in node.decorator_list
        )
        if ast.get_docstring(node) is None and not overload:
            yield f"{where}:{node.lineno} {node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented_in(node, where)


def _broad_excepts(module: ast.Module, where: str) -> Iterator[str]:
    """Clauses that catch everything and keep it; one that cleans up and raises again hides nothing."""
    for node in ast.walk(module):
        if not isinstance(node, ast.ExceptHandler):
            continue
        is_broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        last = node.body[-1]
        passes_on = isinstance(last, ast.Raise) and last.exc is None
        if is_broad and not passes_on:
            yield f"{where}:{node.lineno}"


def _forbidden_names(module: ast.Module, where: str) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, Definition) and any(word in node.name.lower() for word in FORBIDDEN_WORDS):
            yield f"{where}:{node.lineno} {node.name}"


def main() -> None:
    """Print the measures as one table, with the longest files and functions."""
    source, tests = measure(source_files(*PACKAGES)), measure(source_files("tests"))
    files, functions = list(source.file_lines.values()), [function.lines for function in source.functions]
    print(f"{'measure':<16}{'median':>8}{'p90':>8}{'max':>8}")
    for name, values in (("file lines", files), ("function lines", functions)):
        print(f"{name:<16}{statistics.median(values):>8.0f}{quantile(values, 0.9):>8.0f}{max(values):>8}")
    print(
        f"source {source.code_lines} lines, tests {tests.code_lines}: "
        f"{tests.code_lines / source.code_lines:.2f}"
    )
    for name, lines in sorted(source.file_lines.items(), key=lambda item: -item[1])[:8]:
        print(f"{lines:>6} {name}")
    for function in sorted(source.functions, key=lambda item: -item.lines)[:8]:
        print(f"{function.lines:>6} {function.where}")


if __name__ == "__main__":
    main()
