"""Architecture v2.0, 7.2: the logs that the documents name are rotated, every day by the timer."""

import pytest

APPLICATION = "/opt/connect/shared/logs/*.log"
REDIS = ("redis-cache.logfile", "redis-queue.logfile")


@pytest.mark.controls("layout.shared/logs", *REDIS)
def test_the_log_is_rotated(control, facts, found):
    pattern = control.expected if control.id in REDIS else APPLICATION
    kept = found(facts.logrotate.kept.get(pattern, 0))
    assert kept > 0, f"no rule rotates {pattern}"


@pytest.mark.controls("layout.shared/logs", *REDIS)
def test_logrotate_can_read_all_of_its_rules(control, facts, found):
    assert found(facts.logrotate.problems) == ()


@pytest.mark.controls("layout.shared/logs", *REDIS)
def test_the_timer_of_logrotate_runs_and_comes_on_at_boot(control, facts, found):
    timer = facts.logrotate
    found(f"active={timer.timer_active}, enabled={timer.timer_enabled}")
    assert timer.timer_active
    assert timer.timer_enabled
