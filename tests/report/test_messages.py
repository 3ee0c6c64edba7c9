"""Messages: what the plugin puts together, the page takes apart again."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from connect_infra.document import Erratum
from connect_infra.report import messages
from connect_infra.report.messages import WaiverNote

ERRATUM = Erratum(
    id="E99", controls=("pm2.max",), title="It does not", kind="addition", documented="it does",
    happens="nothing", instead="Add it.", test="tests/lab/test_errata_pm2.py::test_it",
)  # fmt: skip

words = st.text(min_size=1).map(str.strip).filter(bool)
# An owner who is called "… until 2026-01-01: …" can't be told from the next part.
owners = st.text(st.characters(categories=["L", "Zs"]), min_size=1).map(str.strip).filter(bool)
notes = st.none() | st.builds(WaiverNote, owners, st.dates(), words)


@given(words, words, st.none() | words, st.lists(st.just(ERRATUM), max_size=2), notes)
def test_what_was_put_together_comes_apart(sentence, expected, found, errata, note):
    message = f"{sentence}: {messages.difference(expected, found)}{messages.advice(errata)}"
    if note is not None:
        message += messages.waived(note)
        assert messages.waiver_in(message) == note
    own = messages.own_words(message, expected, found, errata, note is not None)
    assert own == sentence


def test_a_bare_difference_leaves_nothing():
    message = messages.difference("64MB", "1MB")
    assert messages.own_words(message, "64MB", "1MB", [], False) == ""


def test_another_versions_message_is_left_as_it_is():
    message = "expected 64MB but found 1MB (waived by Kim until 2026-02-31: no such day)"
    assert messages.waiver_in(message) is None
    assert messages.own_words(message, "64MB", "1MB", [ERRATUM], True) == message


def test_a_waiver_reads_as_a_sentence():
    note = WaiverNote("Kim", date(2026, 3, 31), "until the new pooler")
    assert messages.waived(note) == " (waived by Kim until 2026-03-31: until the new pooler)"


def test_advice_can_be_told_from_what_was_seen():
    message = messages.difference("64MB", "1MB") + messages.advice([ERRATUM, ERRATUM])
    advice = ("[E99: It does not. Add it.]",) * 2
    assert messages.split_advice(message) == ("expected '64MB', found '1MB'", advice)
    assert messages.split_advice("refused [EOF: nothing]") == ("refused [EOF: nothing]", ())
