"""What import-linter and ruff cannot see of the house: lengths, names, paths out of it, and its list of modules.

`python tools/house.py [ROOT]` prints a line for each fault and ends with 1 if there are any; `make lint` runs it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
"""Lines, from `def` to the last, without the docstring; commands, whose options are their parameters, may be longer."""
LONGEST_BODY = 40
"""Lines of a function in `cli`, without its parameters and the docstring: a command only turns options into a call."""

TEXTS = {".py", ".yaml", ".yml", ".jinja", ".html", ".js", ".css", ".toml", ".json", ".txt", ".md"}
"""Kinds of packaged files that are read for paths out of the package."""

_OUTSIDE = re.compile(r"""(?<![\w./])\.\./(?!\.\./)""")
_NAME = re.compile(r"(?<![\w/.-])(?:[\w-]+/)*(?:[\w-]+\.py\b|(?<=/)(?=[\s,;:]|$))")


def faults(root: Path) -> Iterator[str]:
    """A sentence for each rule that a checkout breaks."""
    package = root / "src" / "mien"
    modules = sorted(package.rglob("*.py"))
    for path in modules:
        yield from _lengths(path, path.relative_to(root), in_cli=path.is_relative_to(package / "cli"))
    yield from _paths_outside(package, root)
    yield from _same_names(package / "learn")
    yield from _listed(root / "docs" / "architecture.md", package, modules)


def _lengths(path: Path, name: Path, *, in_cli: bool) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if (lines := text.count("\n")) > LONGEST_FILE:
        yield f"{name}: {lines} lines, more than {LONGEST_FILE}: split it by job"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        told = node.body[0] if ast.get_docstring(node) is not None else None
        if in_cli:
            body = node.body[0 if told is None else 1 :]
            lines = _height(node) - (body[0].lineno - node.lineno) if body else 0
            if lines > LONGEST_BODY:
                instead = "move into the library what is more than turning options into a call"
                what = f"the body of {node.name} has {lines} lines, more than {LONGEST_BODY}"
                yield f"{name}:{node.lineno}: {what}: {instead}"
            continue
        lines = _height(node) - (_height(told) if told is not None else 0)
        if lines > LONGEST_FUNCTION:
            yield f"{name}:{node.lineno}: {node.name} has {lines} lines, more than {LONGEST_FUNCTION}"


def _height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _paths_outside(package: Path, root: Path) -> Iterator[str]:
    """Paths that lead out of the folder they stand in mean nothing where the package is installed."""
    for path in sorted(package.rglob("*")):
        if path.suffix not in TEXTS or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if _OUTSIDE.search(line):
                yield f"{path.relative_to(root)}:{number}: a path leads out of the package: {line.strip()[:80]}"


def _same_names(room: Path) -> Iterator[str]:
    places = defaultdict(list)
    for path in sorted(room.rglob("*.py")):
        if path.name != "__init__.py":
            places[path.name].append(str(path.parent.relative_to(room)))
    for name, folders in places.items():
        if len(folders) > 1:
            yield f"learn has more than one {name}: in {', '.join(folders)}"


def _listed(page: Path, package: Path, modules: list[Path]) -> Iterator[str]:
    """The page's list of modules: complete, and free of dead names.

    A file is named with its folder, or alone behind one of the same folder; a folder stands for all that is in it.
    """
    have = {path.relative_to(package).as_posix() for path in modules}
    named: set[str] = set()
    rooms: set[str] = set()
    folder = ""
    for line in page.read_text(encoding="utf-8").split("```")[1].splitlines():
        if line and not line.startswith(" "):
            if line.startswith("src/mien/"):
                continue
            break
        for name in _NAME.findall(line):
            if name.endswith("/"):
                if (package / name).is_dir():
                    folder = name
                    rooms.add(name)
                continue
            place = name if "/" in name else next((p for p in (folder + name, name) if p in have), folder + name)
            folder = place[: place.rfind("/") + 1]
            named.add(place)
    for name in sorted(named - have):
        yield f"{page.name} names {name}, which does not exist"
    for path in sorted(have - named):
        if not path.endswith(("__init__.py", "__main__.py")) and not path.startswith(tuple(rooms)):
            yield f"{page.name} does not name {path}"


def main() -> int:
    """Print the faults of the checkout that is named, or that this file lies in."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = list(faults(root))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
