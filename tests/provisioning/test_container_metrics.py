"""What the engine says of a container becomes its CPU and memory; one that has ended has none."""

import pytest

from provisioning.containers.measuring import container_metrics
from provisioning.containers.measuring.container_metrics import measured, page

RECORDED = {
    "cpu_stats": {"cpu_usage": {"total_usage": 14697757461}},
    "memory_stats": {
        "usage": 4247552,
        "limit": 858783744,
        "stats": {"inactive_file": 24576, "total_inactive_file": 24576},
    },
}
"""Of Docker 20.10 on cgroup v1; other fields left out."""


def test_memory_is_without_what_can_be_dropped():
    assert measured(RECORDED) == {
        "container_cpu_seconds_total": 14.697757461,
        "container_memory_bytes": 4222976,
        "container_memory_limit_bytes": 858783744,
    }


def test_a_container_that_has_just_ended_has_no_values():
    assert measured({"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}) == {}


@pytest.fixture
def engine(monkeypatch):
    answers = {
        "/containers/json": [{"Id": "a", "Names": ["/redis"]}, {"Id": "b", "Names": ["/gone"]}],
        "/containers/a/stats?stream=false&one-shot=true": RECORDED,
        "/containers/b/stats?stream=false&one-shot=true": {"memory_stats": {}},
    }
    monkeypatch.setattr(container_metrics, "ask", answers.__getitem__)


def test_the_page_has_each_metric_once_and_each_running_container(engine):
    lines = page().splitlines()
    assert [line for line in lines if line.startswith("# TYPE")] == [
        "# TYPE container_cpu_seconds_total counter",
        "# TYPE container_memory_bytes gauge",
        "# TYPE container_memory_limit_bytes gauge",
    ]
    assert 'container_memory_bytes{name="redis"} 4222976' in lines
    assert "gone" not in page()
