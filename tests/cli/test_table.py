from hypothesis import given
from hypothesis import strategies as st

from minilora.cli.table import display_width, pad, table

words = st.text(st.sampled_from("ab é中文あ"), max_size=8)
cells = st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | words


def test_numbers_stand_to_the_right_and_words_to_the_left():
    assert table(["type", "F1", "n"], [["LOC", 0.8, 1234], ["MISC", 0.75, 5]]) == [
        "type      F1      n",
        "────  ──────  ─────",
        "LOC   0.8000  1,234",
        "MISC  0.7500      5",
    ]


def test_an_empty_cell_does_not_make_a_column_of_words():
    assert table(["", "F1"], [["a", None], ["b", 1.0]])[-2:] == ["a", "b  1.0000"]


def test_digits_can_be_chosen():
    assert table(["x"], [[0.125]], digits=2)[-1] == "0.12"


def test_no_rows_leave_the_heading():
    assert table(["a", "b"], []) == ["a  b", "─  ─"]


def test_wide_characters_count_double_and_accents_nothing():
    assert display_width("中文") == 4
    assert display_width("e\u0301") == 1
    assert pad("中", 4) == "中  "
    assert pad("中", 4, right=True) == "  中"


@given(st.lists(st.tuples(cells, cells, words), max_size=5))
def test_all_lines_are_as_wide_as_the_rule_or_end_early(rows):
    header, rule, *body = table(["a", "bb", "ccc"], rows)
    assert len(body) == len(rows)
    assert all(display_width(line) <= display_width(rule) for line in [header, *body])
