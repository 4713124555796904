"""Every command and snippet in README and docs is run, or where that takes hours or a camera at least understood.

What is fenced as `sh` is taken apart into commands. Those of mien are first read as the command line reads them, so
that an option that does not exist fails; then all are run in a folder of stand-ins but for those that `NOT_RUN` names,
with the reason. Snippets in `python` are executed, and options that the text speaks of must exist.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "src" / "mien" / "models" / "mien-m" / "README.md", *sorted(ROOT.glob("docs/*.md"))]

NOT_RUN = {
    r"\.\./shared|\$SLURM": "wants data sets that are not part of the project, or a cluster",
    r"^mien (train|slim|crossfit|average|combine|export|calibrate|evaluate|audit|report|score)\b": "wants runs, "
    "or data to learn from or to measure on",
    r"--model models/": "wants a model that is trained first",
    r"^mien (systems|compare|lab)\b": "wants runs",
    r"--camera|rtsp:": "wants a camera",
    r"^mien serve\b": "runs until it is stopped; tests/service does so",
    r"^mien (web)\b|--web\b": "wants the built modules; tests/web does so",
    r"^mien bench\b": "measures for a minute",
    r"postgresql:": "wants a server; tests/count does so",
    r"^mien batch\b": "tests/batch does so, for minutes",
}
"""What is not run here, and why; it is read all the same."""

PYTHON_NOT_RUN = {"models/separate": "wants networks that are trained first"}

FOREIGN = {"--data-binary", "--cpu", "--num_processes", "--no-compile"}
"""Options of other programs, curl, accelerate and pip, that the text speaks of."""

OTHERS = {"git", "cd", "python3", "pip", "make", "docker", "curl", "python", "head", "uv", "du", "sort"}


@dataclass(frozen=True)
class Snippet:
    """A fenced block, and where it stands."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.parent.name}/{self.page.name}:{self.line}"


def blocks(language: str) -> Iterator[Snippet]:
    for page in PAGES:
        fence = re.compile(rf"^( *)```{language}\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
        text = page.read_text(encoding="utf-8")
        for found in fence.finditer(text):
            yield Snippet(page, text[: found.start()].count("\n") + 2, found[2])


def commands(text: str) -> list[list[str]]:
    """The simple commands of a block: comments, pipes and redirections gone, its own variables put in.

    >>> commands('U="--data x"\\nmien evaluate m $U > out  # once\\nmien a && mien b | head')
    [['mien', 'evaluate', 'm', '--data', 'x'], ['mien', 'a'], ['mien', 'b'], ['head']]
    """
    known: dict[str, str] = {}
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        now: list[str] = []
        words = iter([*lexer, ";"])
        for word in words:
            if re.fullmatch(r"[&|;]+", word):
                if now:
                    found.append(now)
                now = []
            elif re.fullmatch(r"[<>]+", word):
                next(words)
            elif not now and (set_ := re.fullmatch(r"([A-Z]\w*)=(.*)", word, re.DOTALL)):
                known[set_[1]] = filled(set_[2], known)
            elif not now and word == "export":  # sets variables, as without it
                continue
            elif word.startswith("$") and word[1:] in known:  # a variable of its own falls into words
                now += known[word[1:]].split()
            else:
                now.append(filled(word, known))
    return found


def filled(word: str, known: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: known.get(name[1], name[0]), word)


COMMANDS = [(snippet, command) for snippet in blocks("sh") for command in commands(snippet.text)]
OURS = [(snippet, command[1:]) for snippet, command in COMMANDS if Path(command[0]).name == "mien"]


def named(value: object) -> str | None:
    return shlex.join(value) if isinstance(value, list) else str(value) if isinstance(value, Snippet) else None


def read(arguments: list[str]) -> None:
    """Have the command line read arguments, without doing what they say.

    Raises:
        Exception: click's own, where it does not understand them.
    """
    from mien.cli import app

    command: Any = typer.main.get_command(app)
    context = command.make_context("mien", list(arguments))
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


def why_not_run(command: list[str]) -> str | None:
    text = shlex.join(["mien", *command])
    return next((why for what, why in NOT_RUN.items() if re.search(what, text)), None)


def test_blocks_are_found() -> None:
    assert len(OURS) > 20
    assert len(list(blocks("python"))) >= 3


@pytest.mark.parametrize(("snippet", "command"), OURS, ids=named)
def test_the_command_line_understands(snippet: Snippet, command: list[str]) -> None:
    read(command)


@pytest.mark.parametrize(
    "wrong",
    ["predict photo.jpg --no-such-option", "video party.mp4 --every few", "no-such-command"],
)
def test_what_is_made_up_is_not_understood(wrong: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|valid|missing|is not a"):
        read(wrong.split())


def test_every_reason_is_still_needed() -> None:
    texts = [shlex.join(["mien", *command]) for _, command in OURS]
    known = "systems|lab|web|batch|postgresql|rtsp"
    assert [what for what in NOT_RUN if not re.search(known, what) and not any(re.search(what, t) for t in texts)] == []


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """A folder with all files that snippets speak of."""
    folder = tmp_path_factory.mktemp("stand-ins")
    for name in ("photo", "portrait"):
        shutil.copyfile(examples / "astronaut.jpg", folder / f"{name}.jpg")
    two = Image.new("RGB", (1024, 512))
    for at, name in enumerate(("astronaut", "hopper")):
        with Image.open(examples / f"{name}.jpg") as image:
            two.paste(image.resize((512, 512)), (512 * at, 0))
    two.save(folder / "photo.jpg")
    for name in ("holiday", "photos", "examples"):
        shutil.copytree(examples, folder / name)
    frame = cv2.cvtColor(np.asarray(two.resize((512, 256))), cv2.COLOR_RGB2BGR)
    for name in ("party.mp4", "lecture.mkv", "monday.mp4"):
        film = cv2.VideoWriter(str(folder / name), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 5, (512, 256))
        for _ in range(6):
            film.write(frame)
        film.release()
    return folder


RUN = [(snippet, command) for snippet, command in OURS if why_not_run(command) is None]


@pytest.mark.parametrize("page", sorted({snippet.page for snippet, _ in RUN}), ids=lambda page: page.name)
def test_commands_run(page: Path, stand_ins: Path, tmp_path: Path) -> None:
    shutil.copytree(stand_ins, tmp_path, dirs_exist_ok=True)
    for snippet, command in RUN:
        if snippet.page == page:
            run = [sys.executable, "-m", "mien", *command]
            done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
            assert done.returncode == 0, (str(snippet), command, done.stderr)
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("snippet", list(blocks("python")), ids=str)
def test_python_runs(snippet: Snippet, stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(stand_ins, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    code = compile(snippet.text, str(snippet), "exec")
    if any(what in snippet.text for what in PYTHON_NOT_RUN):
        imports = [line for line in snippet.text.splitlines() if re.match(r"(from|import) ", line)]
        code = compile("\n".join(imports), str(snippet), "exec")
    size = int(side[1]) if (side := re.search(r"uint8 \[N, (\d+)", snippet.text)) else 168
    exec(code, {"chips": np.full((2, size, size, 3), 128, np.uint8)})


@pytest.mark.parametrize(
    ("snippet", "command"), [pair for pair in COMMANDS if Path(pair[1][0]).name != "mien"], ids=named
)
def test_other_commands_name_what_there_is(snippet: Snippet, command: list[str]) -> None:
    program, *rest = command
    if (ROOT / program).is_file():  # one of our scripts
        return
    assert Path(program).name in OTHERS, f"{snippet}: say here how {program} is checked"
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert [word for word in rest if "=" not in word and word not in targets] == []
    for extra in re.findall(r"\.\[([a-z,]+)\]", " ".join(rest)):
        assert set(extra.split(",")) <= extras()
    if Path(program).name in {"python", "python3"} and rest[0].endswith(".py"):
        script = (ROOT / rest[0]).read_text(encoding="utf-8")
        options = [word.partition("=")[0] for word in rest[1:] if word.startswith("--")]
        assert [option for option in options if f'"{option}"' not in script and not shared_option(script, option)] == []
    for file in re.findall(r"(?:@|-f )(\S+\.\w+)", " ".join(rest)):
        assert (ROOT / file).is_file(), file


def shared_option(script: str, option: str) -> bool:
    """Whether the script takes the option as a keyword, as typer has it."""
    return bool(re.search(rf"\b{option[2:].replace('-', '_')}:", script))


def extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])


@cache
def options() -> frozenset[str]:
    """All options of all commands."""
    from mien.cli import app

    found, waiting = {"--help", "--version"}, [typer.main.get_command(app)]
    while waiting:
        command: Any = waiting.pop()
        found.update(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))
        waiting += getattr(command, "commands", {}).values()
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_options_in_the_text_exist(page: Path) -> None:
    """Whatever the text calls `--option`, some command or script has it."""
    prose = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    told = {
        option for code in re.findall(r"`([^`]+)`", prose) for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", code)
    }
    assert sorted(option for option in told - options() - FOREIGN if f'"{option}"' not in scripts()) == []


@cache
def scripts() -> str:
    files = [*ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("web/scripts/*.js"), ROOT / "Makefile"]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
