"""Results: what several specs say about one control, and the outputs made of a run."""

import io
import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from connect_infra.errors import ObservationError
from connect_infra.report import results, summary
from connect_infra.report.results import Result, Run

STATUSES = ["pass", "fail", "error", "waived", "not_applicable"]


def result(status, control="postgresql.work_mem", **changed):
    values = {"expected": "64MB", "found": "1MB", "message": "", "seconds": 0.5, **changed}
    return Result(id=control, status=status, **values)


def run(*controls):
    return Run("lab", "native", "scaled", "2025-01-01T00:00:00+00:00", 1.5, 1, controls)


@pytest.mark.parametrize(
    ("statuses", "merged"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "fail"], "fail"),
        (["fail", "error"], "fail"),
        (["pass", "error", "waived"], "error"),
        (["waived", "pass"], "waived"),
        (["not_applicable", "pass"], "pass"),
    ],
)
def test_the_worst_result_of_a_control_counts(statuses, merged):
    (one,) = results.merge(result(status) for status in statuses)
    assert one.status == merged
    assert one.seconds == 0.5 * len(statuses)


@given(st.permutations(STATUSES))
def test_the_order_of_the_specs_does_not_matter(statuses):
    assert results.merge(map(result, statuses))[0].status == "fail"


def test_the_evidence_is_that_of_the_worst_spec():
    (one,) = results.merge([result("pass"), result("fail", found="9MB", message="drifted")])
    assert (one.found, one.message) == ("9MB", "drifted")


def test_a_pass_that_saw_something_is_shown_with_it():
    (one,) = results.merge([result("pass", found=None), result("pass", found="64MB")])
    assert one.found == "64MB"


def test_a_run_that_asserted_nothing_is_not_ok():
    assert not run(result("not_applicable")).ok
    assert not run().ok
    assert run(result("pass")).ok
    assert not run(result("pass"), result("error", "postgresql.role")).ok


def test_json_has_the_documented_fields_and_reads_back(tmp_path):
    made = run(result("pass"), result("fail", "postgresql.role"))
    path = tmp_path / "results.json"
    path.write_text(made.to_json())
    data = json.loads(path.read_text())
    assert list(data) == [
        *("target", "topology", "sizing", "started", "seconds", "round_trips", "controls")
    ]
    assert set(data["controls"][0]) == {"id", "status", "expected", "found", "message", "seconds"}
    assert results.load(path) == made


@given(st.text() | st.sampled_from(["{}", "[]", "null", '{"controls": [1]}']))
def test_junk_is_no_run(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("junk") / "results.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ObservationError):
        results.load(path)


def test_junit_counts_and_names_every_control():
    made = run(*(result(status, f"pm2.{status}", message="\x00 <why>") for status in STATUSES))
    (suite,) = ElementTree.fromstring(results.to_junit(made))
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "1", "skipped": "2"}
    tags = {case.get("name"): [child.tag for child in case] for case in suite}
    assert tags == {
        "pm2.pass": [],
        "pm2.fail": ["failure"],
        "pm2.error": ["error"],
        "pm2.waived": ["skipped"],
        "pm2.not_applicable": ["skipped"],
    }


def test_the_summary_says_what_is_wrong_once_and_counts():
    down = [
        result("error", f"redis-cache.{name}", message=f"refused{advice}")
        for name, advice in (("bind", ""), ("port", " [E06: It may not fork. Let it.]"))
    ]
    screen = io.StringIO()
    made = run(result("fail", message="[work_mem] is 1MB"), *down)
    summary.summarise(made, ["E01"], Console(file=screen, width=200))
    text = screen.getvalue()
    assert text.count("refused") == 1
    assert "redis-cache.bind, redis-cache.port" in text
    assert "[work_mem] is 1MB" in text
    assert "        [E06: It may not fork. Let it.]\n" in text
    assert "0 pass   1 fail   2 error" in text
    assert "scaled" in text
    assert "E01" in text
    assert "1.5 s, 1 round trips" in text
