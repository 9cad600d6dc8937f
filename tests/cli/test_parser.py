import pytest

from minilora.cli.parser import Parser, list_of, names, number, one_of, whole_number
from minilora.errors import ConfigError


@pytest.fixture
def parser():
    parser = Parser("minilora try", usage="[TEXT ...]", description="Try.", epilog="")
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--rank", type=whole_number)
    parser.add_argument("--rate", type=number)
    parser.add_argument("--task", type=one_of("ner", "classify"))
    parser.add_argument("--targets", type=names)
    parser.add_argument("--ranks", type=list_of(whole_number))
    return parser


def complaint(parser, *words):
    with pytest.raises(ConfigError) as caught:
        parser.parse(words)
    return str(caught.value)


def test_options_and_texts_come_in_any_order(parser):
    options = parser.parse(["one", "--rank", "3", "two"])
    assert (options.texts, options.rank) == (["one", "two"], 3)


def test_values_have_their_type(parser):
    options = parser.parse(["--rate", "5e-4", "--targets", "query, value", "--ranks", "1,2"])
    assert options.rate == 5e-4
    assert options.targets == ["query", "value"]
    assert options.ranks == [1, 2]


def test_what_is_no_whole_number_is_named(parser):
    assert complaint(parser, "--rank", "3.5") == (
        "--rank: '3.5' is not a whole number; expected one such as 8; see minilora try --help"
    )


def test_what_is_no_number_is_named(parser):
    assert "--rate: 'fast' is not a number" in complaint(parser, "--rate", "fast")


def test_a_wrong_choice_is_answered_with_the_right_ones(parser):
    said = complaint(parser, "--task", "nre")
    assert "'nre'" in said
    assert "Did you mean 'ner'?" in said
    assert said.endswith("Choices: classify, ner; see minilora try --help")


def test_an_empty_name_in_a_list_is_refused(parser):
    assert "'query,,value'" in complaint(parser, "--targets", "query,,value")


def test_what_is_no_number_in_a_list_is_named(parser):
    assert "--ranks: 'two' is not a whole number" in complaint(parser, "--ranks", "1,two")


def test_an_unknown_option_is_named_with_the_nearest_known_one(parser):
    assert complaint(parser, "--rnak", "3") == (
        "--rnak: no such option; did you mean --rank? see minilora try --help"
    )


def test_a_word_too_many_is_answered_with_the_option_it_was_meant_for(run, ner_run):
    answer = run("merge", ner_run, "--out", "merged")
    assert answer.code == 2
    assert f"{ner_run}: is one word too many; did you mean --adapter {ner_run}?" in answer.err
    assert "one word too many; see minilora doctor" in run("doctor", "now").err


def test_an_option_for_what_is_given_bare_says_so(run):
    said = run("inspect", "--adapter", "runs/ner").err
    assert said.startswith("--adapter: no such option; give the folder alone; see")


def test_options_are_not_abbreviated(parser):
    assert "--ra: no such option" in complaint(parser, "--ra=3")


def test_a_missing_value_is_said(parser):
    assert complaint(parser, "--rank").startswith("--rank: expected one argument")
