"""Recipients out of a CSV file: one column says whom, the others are variables.

Promise: either every row is right, or each wrong one is named by row and column (ten at most) and nothing is returned.
Rows are numbered as an editor shows them. A number that comes twice is taken once, the first time. A heading names a
variable of the text whatever its case. A blank cell of a variable that the text uses is wrong unless `allow_blank`.
"""

import csv
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from heliograph.domain.errors import Invalid
from heliograph.domain.messages.chat import parse_chat_id
from heliograph.domain.messages.number_spelling import other_spelling

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, str])
MAX_RECIPIENTS = 100_000
SLICE = 400  # recipients read between two chances for others to run: a few ms
MAX_ERRORS = 10
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ ,;\t]*\r?\n?', re.IGNORECASE)  # some spreadsheets write and obey it
WHOM = ("chat_id", "chat", "phone", "number", "phone_number", "to", "recipient", "mobile", "whatsapp")


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """`variables`: a JSON object of texts, as it is stored. A hundred thousand of them are held at a time, so they are
    kept out of the way of the garbage collector."""

    chat_id: str
    variables: str = "{}"

    @property
    def values(self) -> dict[str, str]:
        return _decoder.decode(self.variables)


def recipient(chat_id: str, values: Mapping[str, str]) -> Recipient:
    return Recipient(chat_id, _encoder.encode(values).decode() if values else "{}")


@dataclass(frozen=True, slots=True)
class CsvError:
    """`row` and `column` as a person finds them; `column` is its heading, or its number where it has none."""

    row: int
    column: str
    message: str
    value: str | None = None

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Recipients:
    """`repeated`: rows left out because their chat came before. `respelled`: of these, chats written in two ways."""

    rows: list[Recipient]
    repeated: int = 0
    respelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """Use of the columns by the text. `names`: its variables; `see`: is told of each recipient and its values."""

    names: Sequence[str] = ()
    allow_blank: bool = False
    see: Callable[[str, Mapping[str, str]], None] | None = None


NO_USE = Use()


def parse_csv(text: str, field: str = "csv", use: Use = NO_USE) -> Recipients:
    """Raises Invalid with `row`, `column` and value of each wrong cell, ten at most."""
    steps = parse_csv_in_steps(text, field, use)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Recipients = end.value
            return found


def parse_csv_in_steps(text: str, field: str = "csv", use: Use = NO_USE) -> Generator[None, None, Recipients]:
    """Does what `parse_csv` does, and stops every few hundred rows, for whoever has others to serve in between."""
    lines = _records(text.removeprefix("\ufeff"))
    wrong: list[CsvError] = []
    seen: dict[str, Recipient] = {}
    spellings = Spellings()
    try:
        head_row, head = next(lines, (1, []))
        columns = _heading(head_row, head, use.names, wrong)
        for n, (row, cells) in enumerate(lines if columns is not None else ()):
            if n % SLICE == SLICE - 1:
                yield
            if len(wrong) >= MAX_ERRORS:
                break
            found = _recipient(row, cells, columns, use, wrong) if columns is not None else None
            if found is None:
                continue
            chat_id, written, values = found
            if spellings.is_repeated(chat_id, written):
                continue
            if len(seen) >= MAX_RECIPIENTS:
                wrong.append(CsvError(row, "1", f"more than {MAX_RECIPIENTS:,} recipients; split the file"))
                break
            seen[chat_id] = recipient(chat_id, values)
            if use.see is not None:
                use.see(chat_id, values)
    except _Malformed as error:
        wrong.append(error.wrong)
    if not wrong and not seen:
        wrong.append(CsvError(2, "1", "no recipients"))
    if wrong:
        raise refusal(wrong, field)
    return Recipients(list(seen.values()), spellings.repeated, tuple(spellings.respelled))


class Spellings:
    """Counts chats that come again, and finds those that were written in two ways."""

    def __init__(self) -> None:
        self.repeated = 0
        self.respelled: list[str] = []
        self._written: dict[str, str | None] = {}

    def is_repeated(self, chat_id: str, written: str) -> bool:
        """Tells whether the chat came before. `written`: the number as it was written this time."""
        other = other_spelling(written, chat_id)
        if chat_id not in self._written:
            self._written[chat_id] = other
            return False
        self.repeated += 1
        if other != self._written[chat_id] and len(self.respelled) < MAX_ERRORS and chat_id not in self.respelled:
            self.respelled.append(chat_id)
        return True


def refusal(wrong: list[CsvError], field: str = "csv") -> Invalid:
    """The 422: the first culprit under the field's own name, all of them under `row R, column C`."""
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    fields = {field: {"message": str(first), "value": first.value, "row": first.row, "column": first.column}}
    for w in wrong:
        shown = {"message": w.message, "value": w.value, "row": w.row, "column": w.column}
        fields[f"row {w.row}, column {w.column}"] = shown
    return Invalid(f"The CSV is not usable: {first}{more}", fields=fields)


class _Malformed(Exception):
    def __init__(self, wrong: CsvError) -> None:
        super().__init__(str(wrong))
        self.wrong = wrong


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that hold something, each with the number of its first line."""
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise _Malformed(CsvError(row, "1", "holds a zero byte; save the file as UTF-8 text"))
    row = 1
    first = _LINE.match(text)
    separator = _SEPARATOR_LINE.fullmatch(first[0]) if first else None
    if first is not None and separator is not None:
        text, row = text[first.end() :], 2
    delimiter = separator[1] if separator else _delimiter(first[0] if first else "")
    # not splitlines(), which also ends a line at form feeds and the like; one by one, for others to run in between
    lines = (match[0] for match in _LINE.finditer(text))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    before = row
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _Malformed(CsvError(row, "1", f"cannot be read as CSV ({error})")) from None
        if any(cell.strip() for cell in cells):
            yield row, cells
        row = reader.line_num + before


def _delimiter(line: str) -> str:
    """Comma, semicolon, tab or bar: whichever the heading uses most."""
    return max(",;\t|", key=line.count)


@dataclass(frozen=True, slots=True)
class _Columns:
    """`names`: spelled as in the text where it uses them, else as in the file. `whom`: the column of the number."""

    names: list[str]
    whom: int


def _heading(row: int, head: list[str], used: Sequence[str], wrong: list[CsvError]) -> _Columns | None:
    """None if no column says whom: then the rows are not looked at."""
    names = [cell.strip() for cell in head]
    while names and not names[-1]:
        names.pop()  # a last column without heading is nothing as long as it is empty
    if not names:
        wrong.append(CsvError(row, "1", "the file is empty"))
        return None
    for n, name in enumerate(names):
        if not name:
            wrong.append(CsvError(row, str(n + 1), "this column has no heading"))
        elif name in names[:n]:
            wrong.append(CsvError(row, str(n + 1), f"the heading {name} comes twice", name))
    lowered = [name.lower().replace(" ", "_") for name in names]
    whom = next((lowered.index(word) for word in WHOM if word in lowered), None)
    if whom is None:
        text = "no column is named chat_id (or phone, number, to): the first row must be a heading"
        wrong.append(CsvError(row, "1", text))
        return None
    for name in used:
        if name in names:
            continue
        alike = [n for n, given in enumerate(names) if given.casefold() == name.casefold()]
        if len(alike) == 1:
            names[alike[0]] = name
        else:
            has = "comes in two spellings" if alike else f"is no heading; the file has {', '.join(filter(None, names))}"
            wrong.append(CsvError(row, name, f"the message uses {{{{{name}}}}}, which {has}"))
    return _Columns(names, whom)


def _recipient(
    row: int, cells: list[str], columns: _Columns, use: Use, wrong: list[CsvError]
) -> tuple[str, str, dict[str, str]] | None:
    names, whom = columns.names, columns.whom
    before = len(wrong)
    if extra := next((n for n in range(len(names), len(cells)) if cells[n].strip()), None):
        wrong.append(CsvError(row, str(extra + 1), f"more cells than the {len(names)} headings", cells[extra].strip()))
    written = cells[whom].strip() if whom < len(cells) else ""
    chat_id = ""
    if not written:
        wrong.append(CsvError(row, names[whom], "no number"))
    else:
        try:
            chat_id = parse_chat_id(written, names[whom])
        except Invalid as error:
            why = error.message.partition("; ")[2]
            text = "not a country code and number, nor a group id ending in @g.us" + (f": {why}" if why else "")
            wrong.append(CsvError(row, names[whom], text, written))
    values = {name: cell.strip() for n, (name, cell) in enumerate(zip(names, cells, strict=False)) if n != whom}
    if not use.allow_blank:
        for name in use.names:
            if name in names and not values.get(name, "") and names[whom] != name:
                wrong.append(CsvError(row, name, f"blank, and the message uses {{{{{name}}}}}", values.get(name)))
    elif len(cells) < len(names):
        values |= dict.fromkeys((name for n, name in enumerate(names) if n >= len(cells) and n != whom), "")
    return (chat_id, written, values) if len(wrong) == before else None


def text_of(raw: bytes) -> str:
    """The text of a CSV file in UTF-8 or, with its mark, UTF-16. Others are refused, because a guess garbles names."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in raw[:200]:
        raise _encoding_refusal(1)
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as problem:
        raise _encoding_refusal(raw[: problem.start].count(b"\n") + 1) from None


def _encoding_refusal(row: int) -> Invalid:
    todo = "save it as CSV UTF-8, or name its encoding (--encoding windows-1252)"
    return refusal([CsvError(row, "1", f"the file is not UTF-8 text; {todo}")])
