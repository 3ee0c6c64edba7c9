"""The journal: what was measured is in it, and it is read back as it was written."""

import pytest

from chaos.checker import check
from chaos.history import Operation
from chaos.journal import Journal, load, save
from chaos.record import Story, ledger_records, stream_records
from chaos.timeline import Slot
from chaos.workload import Heard
from connect_infra.errors import ObservationError


def stream(text, begun=100.0):
    names = {"o": "ok", "b": "bad", "v": "void"}
    slots = [Slot(begun + i, 0.1 * i, names[sign], "") for i, sign in enumerate(text)]
    return Heard("reads", 1.0, list(reversed(slots)))


def journal(**more):
    return Journal(
        drill="a", title="b", target="lab", started="2026-01-01T00:00:00+00:00", seconds=1.0,
        status="completed", verdict="met", reasons=[], events=[], objectives=[],
        streams=stream_records([stream("oobo")], 100.0),
        ledgers=ledger_records({"writes": None}, []), alerts=[], **more,
    )  # fmt: skip


def test_a_stream_s_record_is_in_order_and_counts_from_the_beginning():
    (record,) = stream_records([stream("oobbov")], 100.0)
    assert [probe.at for probe in record.probes] == [0, 1, 2, 3, 4, 5]
    assert (record.ok, record.bad, record.void, record.downtime) == (3, 2, 1, 2.0)
    assert [(one.begin, one.end, one.slots) for one in record.outages] == [(2.0, 4.0, 2)]
    assert record.longest_outage == 2.0
    assert record.p50 == 0.1  # of the good slots only


def test_a_ledger_without_a_final_read_says_so():
    history = [Operation(1, 0.0, "ok", 1.0), Operation(2, 0.0, "ok", 2.0)]
    unread, read = ledger_records({"jobs": None, "writes": check(history, [1])}, [5.0])
    assert not unread.final_read
    assert unread.rpo_seconds is None
    assert (read.acknowledged, read.lost, read.lost_elements, read.rpo_seconds) == (2, 1, [2], 3.0)


def test_it_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "journal.json"
    save(journal(), path)
    assert load(path) == journal()
    path.write_text(path.read_text().replace('"met"', '"perhaps"'))
    with pytest.raises(ObservationError, match=r"journal\.json"):
        load(path)


def test_the_story_says_what_is_down_and_since_when():
    said = []
    story = Story(said.append)
    story.begin()
    reads = Heard("reads", 0.05, [Slot(story.begun, 0.0, "bad", "refused")])
    story.follow([reads])
    assert "reads down for" in said[-1]
    assert said[-1].endswith("refused")
    reads.slots.append(Slot(story.begun + 2.0, 0.0, "ok"))
    story.follow([reads])
    assert said[-1].endswith("reads back after 2.0 s")
    assert [one.kind for one in story.events] == ["begun"]
