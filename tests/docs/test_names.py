"""Names, sizes and sentences of the project, held to the rules of ADR 0016."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "heliograph"
SOURCES = sorted(SRC.rglob("*.py"))
QUERIES = sorted(SRC.rglob("*.sql"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# relative words, participles and pieces of furniture: none of them says what a module holds
EMPTY_NAMES = """
told said moved keyed described owned shown listed apart look hand line door desk stage world shell facts stories
utils common helpers base manager models types
"""
# a Protocol and the class that keeps it, in these two rooms
PROTOCOL_AND_CLASS: dict[str, set[str]] = {}
CATALOGUES = {"cli/commands"}  # a module for each command
MAX_MODULES = 16
MAX_LINES = 37_500  # the aim is 33,500: delete before you add
MAX_COLUMNS = 120
MAX_FIRST_SENTENCE_WORDS = 25
MAX_SENTENCE_WORDS = 30

BOUND_WORDS = {"MOST", "LEAST", "LONGEST", "SHORTEST", "LARGEST", "SMALLEST", "SLOWEST", "FASTEST"}
UNITS = {"S", "MS", "US", "BYTES", "KIB", "MIB"}
NO_FIRST_WORDS = """
What Who Whose Whoever How So It Its Their They Whether Where When That Those These This As If Of Or And But Not
No Nobody Nothing Everything Everybody Otherwise Because Here There
"""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(source: Path) -> ast.Module:
    return ast.parse(source.read_text())


def is_generated(source: Path) -> bool:
    return any(line.startswith("# Generated") for line in source.read_text().splitlines()[:5])


# Modules and classes


def test_a_module_is_named_after_what_it_holds() -> None:
    assert [name_of(path) for path in SOURCES if path.stem in EMPTY_NAMES.split()] == []


def test_a_folder_holds_at_most_sixteen_modules() -> None:
    modules = defaultdict(list)
    for path in SOURCES:
        if path.name != "__init__.py":
            modules[str(path.parent.relative_to(SRC))].append(path.stem)
    crowded = {folder: len(names) for folder, names in modules.items() if len(names) > MAX_MODULES}
    assert {folder: count for folder, count in crowded.items() if folder not in CATALOGUES} == {}


def test_hand_written_source_stays_small() -> None:
    counts = {path: len(path.read_text().splitlines()) for path in SOURCES if not is_generated(path)}
    assert sum(counts.values()) <= MAX_LINES


def classes() -> Iterator[tuple[str, Path]]:
    for path in SOURCES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, path


def test_a_public_class_name_exists_once() -> None:
    rooms = defaultdict(list)
    for name, path in classes():
        rooms[name].append(path.relative_to(SRC).parts[0])
    repeated = {name: found for name, found in rooms.items() if len(found) > 1}
    assert {name: found for name, found in repeated.items() if name not in PROTOCOL_AND_CLASS} == {}
    assert {name: set(found) for name, found in repeated.items() if len(found) == 2} == PROTOCOL_AND_CLASS


# Constants


def constants(source: Path) -> Iterator[str]:
    for node in tree_of(source).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                yield target.id


def constant_fault(name: str) -> str | None:
    """The rule that a constant's name breaks, or None."""
    words = name.strip("_").split("_")
    if BOUND_WORDS & set(words):
        return "says MAX_ or MIN_"
    if {"MAX", "MIN"} & set(words[1:-1]):
        return "begins with MAX_ or MIN_"
    if UNITS & set(words[:-1]):
        return "ends with its unit"
    return None


def test_a_constant_that_bounds_begins_with_max_or_min_and_a_unit_stands_at_the_end() -> None:
    assert [constant_fault(name) for name in ("MAX_WAIT_S", "LONGEST_S", "WAIT_MAX_S", "S_WAIT")] == [
        None,
        "says MAX_ or MIN_",
        "begins with MAX_ or MIN_",
        "ends with its unit",
    ]
    found = [(name_of(path), name, constant_fault(name)) for path in SOURCES for name in constants(path)]
    assert [entry for entry in found if entry[2]] == []


# First sentences


def first_sentence(text: str) -> str:
    paragraph = " ".join(re.split(r"\n\s*\n", text.strip())[0].split())
    ended = re.match(r"(.+?[.:!?])(?:\s|$)", paragraph)
    return ended[1] if ended else paragraph


def sentence_fault(sentence: str) -> str | None:
    words = sentence.split()
    if not words:
        return "has no sentence"
    if words[0].rstrip(",;:") in NO_FIRST_WORDS.split():
        return f"begins with {words[0]}"
    return f"has {len(words)} words" if len(words) > MAX_FIRST_SENTENCE_WORDS else None


def docstrings(source: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield getattr(node, "lineno", 1), text


def test_a_docstring_begins_with_a_short_sentence_about_its_subject() -> None:
    assert sentence_fault("Who sends for a phone.") and sentence_fault("word " * 26) and not sentence_fault("Sends.")
    faults = [
        f"{name_of(path)}:{line} {fault}: {first_sentence(text)}"
        for path in SOURCES
        if not is_generated(path)
        for line, text in docstrings(path)
        if (fault := sentence_fault(first_sentence(text)))
    ]
    assert faults == []


def promises(text: str) -> Iterator[tuple[str, str]]:
    """Each named query with its promise: the comment below its name, without header lines such as `-- plan: hot`."""
    for block in re.split(r"^(?=-- name:)", text, flags=re.MULTILINE)[1:]:
        heading, *rest = block.splitlines()
        comments = []
        for line in rest:
            if not line.startswith("--"):
                break
            if not re.match(r"-- [a-z]+: ", line):
                comments.append(line.removeprefix("--").strip())
        yield heading.split()[2], first_sentence(" ".join(comments))


def test_a_query_has_a_short_sentence_that_says_what_it_does() -> None:
    sample = "-- name: job_delete\n-- plan: hot\n-- Deletes one job. Then more.\nDELETE FROM jobs;\n"
    assert list(promises(sample)) == [("job_delete", "Deletes one job.")]
    faults = [
        f"{name_of(path)} {name} {fault}: {sentence}"
        for path in QUERIES
        for name, sentence in promises(path.read_text())
        if (fault := sentence_fault(sentence))
    ]
    assert faults == []


# Lines and sentences of the pages


def is_table_row(line: str) -> bool:
    return line.lstrip().startswith("|")  # cannot be wrapped in Markdown


@pytest.mark.parametrize("page", [*PAGES, *QUERIES], ids=name_of)
def test_a_line_fits_the_screen(page: Path) -> None:
    lines = enumerate(page.read_text().splitlines(), start=1)
    assert [f"{n}: {len(line)}" for n, line in lines if len(line) > MAX_COLUMNS and not is_table_row(line)] == []


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page's paragraphs and list items; a piece of code counts as one word."""
    text = re.sub(r"^ *```.*?^ *```", "\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]+`", "code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
    lines = ["" if is_table_row(line) or line.startswith(("#", "---")) else line for line in text.splitlines()]
    for paragraph in re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", "\n".join(lines), flags=re.MULTILINE):
        yield from filter(None, re.split(r"(?<=[.!?])\)?\s+", " ".join(paragraph.split())))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_sentence_of_a_page_can_be_read_in_one_breath(page: Path) -> None:
    assert list(sentences("One `a b` two.\n- Three.\n\n| a | b |\n")) == ["One code two.", "Three."]
    assert [text for text in sentences(page.read_text()) if len(text.split()) > MAX_SENTENCE_WORDS] == []
