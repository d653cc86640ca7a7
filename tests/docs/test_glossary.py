"""The glossary, held to the program: each name after "Code" exists, and no class or table bears a rejected word."""

import re
from dataclasses import dataclass

import click
import pytest

from heliograph.cli.main import cli
from tests.docs.test_names import PAGES, QUERIES, ROOT, SOURCES

GLOSSARY = ROOT / "docs" / "explain" / "glossary.md"
CODE = "\n".join(source.read_text() for source in SOURCES)
TABLES = {name for path in QUERIES for name in re.findall(r"^CREATE TABLE (\w+)", path.read_text(), re.MULTILINE)}


@dataclass(frozen=True)
class Word:
    word: str
    meaning: str
    code: str
    rejected: tuple[str, ...]


def words_of(text: str) -> list[Word]:
    entries = re.findall(r"^- \*\*(.+?)\*\*( \([^)]*\))?: (.+?)(?=^- |^#|\Z)", text, re.MULTILINE | re.DOTALL)
    words = []
    for word, which, body in entries:
        line = " ".join(body.split())
        before, _, rejected = line.partition(" Not: ")
        meaning, _, code = before.partition(" Code: ")
        words.append(Word(word + which, meaning, code, tuple(re.findall(r"\*([^*]+)\*", rejected))))
    return words


WORDS = words_of(GLOSSARY.read_text())


def exists(name: str) -> bool:
    """Whether a class, alias, function, table or command bears the name."""
    if name.startswith("heliograph "):
        return command_exists(name.split()[1:])
    if "." in name:
        owner, member = name.split(".")
        return bool(re.search(rf"^class {owner}\b.*?^    {member} = ", CODE, re.MULTILINE | re.DOTALL))
    return name in TABLES or bool(re.search(rf"^(class|def) {name}\b|^{name} = ", CODE, re.MULTILINE))


def command_exists(path: list[str]) -> bool:
    command: click.Command | None = cli
    for name in path:
        if not isinstance(command, click.Group):
            return False
        command = command.get_command(click.Context(command), name)
    return command is not None


def test_the_glossary_has_each_word_once_with_a_meaning() -> None:
    sample = "- **job**: a message. Code: `Job`. Not: *task*, which is more.\n"
    assert words_of(sample) == [Word("job", "a message.", "`Job`.", ("task",))]
    names = [word.word for word in WORDS]
    assert len(names) > 50
    assert sorted(set(names)) == sorted(names)
    assert all(word.meaning.endswith(".") for word in WORDS)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: str(word.word))
def test_a_name_of_the_glossary_exists(word: Word) -> None:
    assert not exists("NoSuchThing") and not exists("heliograph nothing")
    assert [name for name in re.findall(r"`([^`]+)`", word.code) if not exists(name)] == []
    assert set(re.findall(r"table `(\w+)`", word.code)) <= TABLES


def test_no_class_or_table_bears_a_rejected_word() -> None:
    kept = {word.word.split(" (")[0] for word in WORDS}
    names = set(re.findall(r"^class (\w+)", CODE, re.MULTILINE)) | TABLES
    rejected = {word for entry in WORDS for word in entry.rejected if word not in kept and word != "message"}
    assert {"lane", "hold"} <= kept and {"shard", "gather"} <= rejected
    assert {word for word in rejected if {word.title().replace(" ", ""), word} & names} == set()


def test_readers_and_contributors_are_led_to_the_glossary() -> None:
    assert {"README.md", "CONTRIBUTING.md"} <= {
        page.name for page in PAGES if "explain/glossary.md" in page.read_text()
    }
