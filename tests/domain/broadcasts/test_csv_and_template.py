"""Tests of broadcast recipients: CSV files, and the text that each recipient gets."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.broadcasts.csv_recipients import MAX_ERRORS, MAX_RECIPIENTS, parse_csv
from heliograph.domain.errors import Invalid
from heliograph.domain.messages.number_spelling import canonical
from heliograph.domain.messages.template import TemplateCheck, fill, parse_values, variables


def test_variables_are_found_in_order_and_once() -> None:
    assert variables("Hi {{name}}, {{ order no }}: {{name}} {single} {{größe}}") == ("name", "order no", "größe")
    assert variables("Nothing here {{") == ()


@pytest.mark.parametrize("text", ["{{}}", "{{ }}", "{{1}}", "{{a/b}}", "{{a{{b}}", "{{" + "x" * 100 + "}}"])
def test_braces_around_what_is_no_name_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        variables(text)
    assert list(refused.value.fields) == ["message"]


def test_a_value_that_looks_like_a_variable_stays_text() -> None:
    assert fill("{{a}} {{ b }}", {"a": "{{b}}", "b": "\\1"}) == "{{b}} \\1"


@given(st.dictionaries(st.sampled_from("abcd"), st.text(max_size=20), min_size=4), st.text(max_size=20))
def test_filling_changes_only_the_variables(values: dict[str, str], between: str) -> None:
    between = between.replace("{", "").replace("}", "")
    text = between.join(f"{{{{{name}}}}}" for name in "abcd")
    assert fill(text, values) == between.join(values[name] for name in "abcd")


def check_all(text: str, recipients: list[tuple[str, dict[str, str]]], *, most: int) -> None:
    check = TemplateCheck(text, most=most)
    for chat_id, values in recipients:
        check.see(chat_id, values)
    check.end()


def test_missing_variables_are_named_with_the_first_who_lacks_them() -> None:
    recipients = [("1@c.us", {"name": "A", "city": "X"}), ("2@c.us", {"name": ""}), ("3@c.us", {})]
    with pytest.raises(Invalid) as refused:
        check_all("{{name}} {{city}}", recipients, most=100)
    fields = refused.value.fields
    assert set(fields) == {"variables", "name", "city"}
    assert fields["city"]["value"] == fields["name"]["value"] == "2@c.us"
    assert "2 of 3 recipients" in refused.value.message
    check_all("Hello", recipients, most=100)


def test_a_text_that_gets_too_long_for_one_recipient_is_refused() -> None:
    check_all("{{a}}", [("1@c.us", {"a": "x" * 10})], most=10)
    with pytest.raises(Invalid, match=r"2@c\.us is longer"):
        check_all("{{a}}!", [("1@c.us", {"a": "x"}), ("2@c.us", {"a": "x" * 10})], most=10)


def test_values_are_texts_and_numbers() -> None:
    assert parse_values({"a": 1, " b ": 2.5, "c": "x", "d": 3.0}) == {"a": "1", "b": "2.5", "c": "x", "d": "3"}
    refused: tuple[object, ...] = ([], {"a": None}, {"a": [1]}, {"a": True}, {"": "x"}, {"a}": "x"})
    for wrong in refused:
        with pytest.raises(Invalid):
            parse_values(wrong)


def test_a_csv_gives_recipients_with_their_values() -> None:
    found = parse_csv(
        'Phone,name,note\n+91 98765-43210,"Asha, R","two\nlines"\n\n12025550100,Bo\n919876543210,Again,\n'
    )
    assert [(r.chat_id, r.values) for r in found.rows] == [
        ("919876543210@c.us", {"name": "Asha, R", "note": "two\nlines"}),
        ("12025550100@c.us", {"name": "Bo"}),
    ]
    assert found.repeated == 1


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_semicolons_tabs_byte_order_marks_and_windows_lines_are_read(mark: str) -> None:
    found = parse_csv(f"\ufeffname{mark}chat_id\r\nA{mark}919876543210@c.us\r\nG{mark}120363297269676566@g.us\r\n")
    assert [r.chat_id for r in found.rows] == ["919876543210@c.us", "120363297269676566@g.us"]


@pytest.mark.parametrize(
    ("text", "row", "column"),
    [
        ("", 1, "1"),
        ("phone,name\n", 2, "1"),
        ("919876543210,Asha\n", 1, "1"),
        ("phone,,name\n919876543210,x,y\n", 1, "2"),
        ("phone,name,name\n919876543210,x,y\n", 1, "3"),
        ("phone,name\n919876543210,A\nabc,B\n", 3, "phone"),
        ("phone,name\n\n\n,B\n", 4, "phone"),
        ("name,phone\nB\n", 2, "phone"),
        ("phone,name\n919876543210,A,surplus\n", 2, "3"),
        ('phone,name\n919876543210,"A\n', 2, "1"),
        ('phone,name\n919876543210,"A"x\n', 2, "1"),
        ("phone,name\n919876543210,A\n9198\0,B\n", 3, "1"),
        ('phone,note\n919876543210,"a\nb"\nabc,c\n', 4, "phone"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(text: str, row: int, column: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_csv(text)
    culprit = refused.value.fields["csv"]
    assert (culprit["row"], culprit["column"]) == (row, column)
    assert f"row {row}, column {column}" in refused.value.fields


def test_many_wrong_rows_are_listed_up_to_a_bound() -> None:
    with pytest.raises(Invalid) as refused:
        parse_csv("phone\n" + "abc\n" * 500)
    assert len(refused.value.fields) == MAX_ERRORS + 1


def test_a_file_of_the_largest_size_is_read_in_seconds_and_one_more_is_refused() -> None:
    lines = [f"9{n:011d},Name {n}" for n in range(MAX_RECIPIENTS)]
    begun = time.process_time()
    found = parse_csv("phone,name\n" + "\n".join(lines))
    assert time.process_time() - begun < 5
    assert len(found.rows) == MAX_RECIPIENTS and found.repeated == 0
    with pytest.raises(Invalid, match="more than 100,000 recipients"):
        parse_csv("phone,name\n" + "\n".join([*lines, "919876543210,One more"]))


@given(
    st.lists(
        st.tuples(st.integers(10**10, 10**13), st.text(max_size=12).filter(lambda t: "\0" not in t)),
        min_size=1,
        max_size=20,
    )
)
def test_what_a_csv_writer_wrote_is_read_back(rows: list[tuple[int, str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["phone", "text"])
    writer.writerows(rows)
    expected: dict[str, str] = {}
    for number, text in rows:
        expected.setdefault(f"{canonical(str(number))}@c.us", text.strip())
    found = parse_csv(out.getvalue())
    assert {r.chat_id: _lines(r.values["text"]) for r in found.rows} == {c: _lines(t) for c, t in expected.items()}


def _lines(text: str) -> list[str]:
    return text.splitlines()
