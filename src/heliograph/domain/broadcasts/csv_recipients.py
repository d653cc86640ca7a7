"""Recipients out of a CSV file: one column says whom, the others are variables.

Promise: either every row is right, or each wrong one is named by row and column and nothing is returned. Rows are
numbered as an editor shows them (the header is row 1). A number that comes twice is taken once, the first time.
"""

import csv
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from heliograph.domain.errors import Invalid
from heliograph.domain.messages.chat import parse_chat_id

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, str])
MAX_RECIPIENTS = 100_000
SLICE = 400  # recipients read between two chances for others to run: a few ms
MAX_ERRORS = 20
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
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

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Recipients:
    rows: list[Recipient]
    repeated: int = 0  # rows left out because their chat came before


def parse_csv(text: str, field: str = "csv", see: Callable[[str, Mapping[str, str]], None] | None = None) -> Recipients:
    """Raises Invalid with `row` and `column` of each wrong cell (the first twenty). `see`: told of each recipient."""
    steps = parse_csv_in_steps(text, field, see)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Recipients = end.value
            return found


def parse_csv_in_steps(
    text: str, field: str = "csv", see: Callable[[str, Mapping[str, str]], None] | None = None
) -> Generator[None, None, Recipients]:
    """`parse_csv` that stops every few hundred rows, for whoever has others to serve in between."""
    lines = _records(text.removeprefix("\ufeff"))
    wrong: list[CsvError] = []
    seen: dict[str, Recipient] = {}
    repeated = 0
    try:
        head_row, head = next(lines, (1, []))
        names, whom = _heading(head_row, head, wrong)
        for n, (row, cells) in enumerate(lines if not wrong else ()):
            if n % SLICE == SLICE - 1:
                yield
            if len(wrong) >= MAX_ERRORS:
                break
            found = _recipient(row, cells, names, whom, wrong)
            if found is None:
                continue
            chat_id, values = found
            if chat_id in seen:
                repeated += 1
            elif len(seen) >= MAX_RECIPIENTS:
                wrong.append(CsvError(row, names[whom], f"more than {MAX_RECIPIENTS:,} recipients; split the file"))
                break
            else:
                seen[chat_id] = recipient(chat_id, values)
                if see is not None:
                    see(chat_id, values)
    except _Malformed as error:
        wrong.append(error.wrong)
    if not wrong and not seen:
        wrong.append(CsvError(2, "1", "no recipients"))
    if wrong:
        raise refusal(wrong, field)
    return Recipients(list(seen.values()), repeated)


def refusal(wrong: list[CsvError], field: str = "csv") -> Invalid:
    """The 422: the first culprit under the field's own name, all of them under `row R, column C`."""
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    fields = {field: {"message": str(first), "value": None, "row": first.row, "column": first.column}}
    for w in wrong:
        shown = {"message": w.message, "value": None, "row": w.row, "column": w.column}
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
    first = _LINE.match(text)
    # not splitlines(), which also ends a line at form feeds and the like; one by one, for others to run in between
    lines = (match[0] for match in _LINE.finditer(text))
    reader = csv.reader(lines, delimiter=_delimiter(first[0] if first else ""), strict=True)
    row = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _Malformed(CsvError(row, "1", f"cannot be read as CSV ({error})")) from None
        if any(cell.strip() for cell in cells):
            yield row, cells
        row = reader.line_num + 1


def _delimiter(line: str) -> str:
    """Comma, semicolon or tab: whichever the heading uses most."""
    return max(",;\t", key=line.count)


def _heading(row: int, head: list[str], wrong: list[CsvError]) -> tuple[list[str], int]:
    names = [cell.strip() for cell in head]
    if not names:
        wrong.append(CsvError(row, "1", "the file is empty"))
        return names, 0
    for n, name in enumerate(names):
        if not name:
            wrong.append(CsvError(row, str(n + 1), "this column has no heading"))
        elif name in names[:n]:
            wrong.append(CsvError(row, str(n + 1), f"the heading {name} comes twice"))
    lowered = [name.lower().replace(" ", "_") for name in names]
    found = next((lowered.index(word) for word in WHOM if word in lowered), None)
    if found is None:
        text = "no column is named chat_id (or phone, number, to): the first row must be a heading"
        wrong.append(CsvError(row, "1", text))
    return names, found or 0


def _recipient(
    row: int, cells: list[str], names: list[str], whom: int, wrong: list[CsvError]
) -> tuple[str, dict[str, str]] | None:
    if len(cells) > len(names):
        wrong.append(CsvError(row, str(len(names) + 1), f"more cells than the {len(names)} headings"))
        return None
    if whom >= len(cells) or not cells[whom].strip():
        wrong.append(CsvError(row, names[whom], "no number"))
        return None
    try:
        chat_id = parse_chat_id(_bare(cells[whom]), names[whom])
    except Invalid:
        wrong.append(CsvError(row, names[whom], "not a country code and number, nor a group id ending in @g.us"))
        return None
    # a row that ends early has no values for the rest: the template decides whether they are needed
    values = {name: cell.strip() for n, (name, cell) in enumerate(zip(names, cells, strict=False)) if n != whom}
    return chat_id, values


def _bare(cell: str) -> str:
    """A number as spreadsheets write it, without spaces, dashes and brackets."""
    cell = cell.strip()
    return cell if "@" in cell else "".join(c for c in cell if c not in " ()-.\u00a0")
