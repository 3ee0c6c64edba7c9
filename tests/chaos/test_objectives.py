"""Verdicts from evidence: each promise can be missed, and what was not seen is never met."""

import pytest

from chaos.checker import check
from chaos.history import Operation
from chaos.objectives import (
    EXIT_CODES,
    Cycle,
    Evidence,
    Objective,
    Seen,
    judge,
    verdict,
)
from chaos.timeline import Slot

NAMES = {"o": "ok", "b": "bad", "v": "void"}


def slots(text):
    return [Slot(float(i), 0.01, NAMES[sign], "") for i, sign in enumerate(text)]


def evidence(text="oooooooooo", fault=2.0, history=((1, "ok"),), read=(1,), **more):
    operations = [Operation(e, 0.0, how, 1.0) for e, how in history]
    found = None if read is None else check(operations, read)
    record = slots(text)
    return Evidence(
        cycles=[Cycle(fault, fault + 0.5)],
        streams=dict.fromkeys(("reads", "writes", "jobs"), (1.0, record)),
        findings={"writes": found, "jobs": check(operations, [1])},
        last_slot=record[-1].at,
        **more,
    )


def judged(name, at_most, found, at_least=0.0):
    (one,) = judge([Objective(name, at_most, "a test", at_least)], found)
    return one


def decide(name, at_most, found, **options):
    options = {"restored": True, "completed": True, **options}
    return verdict([judged(name, at_most, found)], found.findings, **options)[0]


def test_recovery_in_time_and_too_late():
    found = evidence("ooobbboooo")
    assert judged("rto_reads", 4, found).measured == 4.0
    assert judged("rto_reads", 4, found).met
    late = judged("rto_reads", 3.9, found)
    assert late.met is False
    assert late.note == "expected at most 3.9 s, found 4 s"


def test_recovery_that_needed_the_healing_is_none():
    found = evidence("ooobbboooo", healed_at=5.0)
    assert judged("rto_reads", 300, found).met is False
    assert "by itself" in judged("rto_reads", 300, found).note
    assert judged("rto_reads", 300, evidence("ooobbboooo", healed_at=5.0, self_healing=False)).met
    assert judged("rto_reads", 300, evidence("ooobbboooo", healed_at=7.0)).met


def test_no_recovery_is_beyond_any_limit():
    one = judged("rto_writes", 1e9, evidence("ooobbbbbbo"))
    assert (one.measured, one.met) == (None, False)


def test_zero_downtime_says_of_how_many_slots():
    one = judged("downtime_reads", 0, evidence())
    assert (one.measured, one.met, one.note) == (0.0, True, "0 of 10 slots, 1000 ms apart")
    assert judged("downtime_reads", 0, evidence("ooobbooooo")).measured == 2.0
    assert judged("longest_reads", 1, evidence("ooobbooobo")).measured == 2.0


def test_a_prober_that_was_late_says_nothing():
    one = judged("downtime_reads", 0, evidence("oovvoooooo"))
    assert (one.measured, one.met) == (None, None)


def test_losses_in_writes_and_in_seconds():
    lost = evidence(history=((1, "ok"), (2, "ok")), read=[1], fault=4.0)
    assert judged("lost_writes", 0, lost).note == "expected at most 0, found 1, of 2 acknowledged"
    assert judged("lost_writes", 1, lost).met
    assert judged("rpo_writes", 5, lost).measured == 3.5
    assert judged("rpo_writes", 3, lost).met is False


def test_nothing_acknowledged_proves_nothing():
    one = judged("lost_writes", 0, evidence(history=((1, "info"),), read=[]))
    assert one.met is None


def test_no_final_read_is_unknown_never_met():
    assert judged("lost_writes", 0, evidence(read=None)).met is None
    assert decide("rto_reads", 100, evidence(read=None)) == "unknown"


@pytest.mark.parametrize(
    ("history", "read"), [(((1, "ok"),), [1, 7]), (((1, "ok"), (2, "fail")), [1, 2])]
)
def test_what_cannot_be_there_is_a_failure_whatever_the_objective(history, read):
    assert decide("rto_reads", 100, evidence(history=history, read=read)) == "missed"


def test_a_fault_that_must_be_felt():
    refused = evidence(history=((1, "ok"), (2, "fail"), (3, "info")))
    assert judged("refused_writes", float("inf"), refused, at_least=2).met
    assert judged("refused_writes", float("inf"), refused, at_least=3).met is False


def test_alerts_fire_and_clear_in_time_or_not():
    seen = {"DatabaseDown": Seen(5.0, 8.0)}
    found = evidence(alerts=seen, alerts_observed=True, healed_at=6.0,
                     expected_alerts=frozenset({"DatabaseDown"}))  # fmt: skip
    assert judged("fires_DatabaseDown", 3, found).met
    assert judged("fires_DatabaseDown", 2.9, found).met is False
    assert judged("clears_DatabaseDown", 2, found).met
    assert judged("clears_DatabaseDown", 1.9, found).met is False
    assert judged("other_alerts", 0, found).met
    assert judged("fires_ApplicationDown", 100, found).met is False


def test_other_alerts_are_counted_and_none_observed_is_unknown():
    noisy = evidence(alerts={"HighDiskUsage": Seen(1.0, 2.0)}, alerts_observed=True)
    assert judged("other_alerts", 0, noisy).note == "expected at most 0, found 1, HighDiskUsage"
    assert judged("other_alerts", 0, evidence()).met is None


def test_not_restored_beats_missed_beats_unknown_beats_met():
    good, bad, unread = evidence(), evidence("ooobbbbbbb"), evidence(read=None)
    assert decide("rto_reads", 5, good) == "met"
    assert decide("rto_reads", 5, good, completed=False) == "unknown"
    assert decide("rto_reads", 5, unread) == "unknown"
    assert decide("rto_reads", 5, bad, completed=False) == "missed"
    assert decide("rto_reads", 5, bad, restored=False) == "not_restored"
    assert verdict([], good.findings, restored=True, completed=True)[0] == "unknown"


def test_exit_codes_are_the_documented_ones():
    assert EXIT_CODES == {"met": 0, "missed": 1, "unknown": 2, "not_restored": 3}


def test_of_many_faults_the_worst_recovery_counts():
    found = evidence("oobooobbboooo")
    found.cycles = [Cycle(2.0, 2.1), Cycle(6.0, 6.1)]
    assert judged("rto_reads", 10, found).measured == 3.0
    found.cycles = [Cycle(2.0, 2.1), Cycle(4.0, 4.1)]
    assert judged("rto_reads", 10, found).measured == 5.0


def test_a_fault_that_did_not_happen_proves_nothing():
    found = evidence()
    found.cycles = []
    for name in ("rto_reads", "downtime_reads", "lost_writes", "other_alerts", "fires_X"):
        assert judged(name, 100, found).met is None


def test_a_procedure_that_did_nothing_has_missed_its_time():
    found = evidence()
    assert judged("takes", 1, found).measured == 0.5
    found.cycles = [Cycle(2.0, None)]
    one = judged("takes", 1e9, found)
    assert (one.measured, one.met) == (None, False)
    assert "it was not done" in one.note
