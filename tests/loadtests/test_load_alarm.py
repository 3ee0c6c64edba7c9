"""Everybody is called, in order, and never too early."""

import time

import gevent
import pytest

from loadtests.alarm import Alarm


@pytest.fixture
def alarm():
    made = Alarm()
    yield made
    made.close()


def test_all_are_called_in_order_and_not_before_their_moment(alarm):
    start = time.monotonic()
    called = []
    for ms in (70, 10, 40, 40, 0, -5):
        moment = start + ms / 1000
        alarm.at(moment, lambda moment=moment: called.append((moment, time.monotonic())))
    gevent.sleep(0.3)
    assert len(called) == 6
    assert [moment for moment, _ in called] == sorted(moment for moment, _ in called)
    assert all(moment <= at for moment, at in called)


def test_who_waits_goes_on_at_the_moment_and_lets_others_run(alarm):
    moment = time.monotonic() + 0.1
    others = gevent.spawn(lambda: time.monotonic())
    alarm.wait(moment)
    assert time.monotonic() >= moment
    assert others.get(timeout=1) < moment


def test_one_who_was_killed_while_waiting_disturbs_nobody(alarm):
    moment = time.monotonic() + 0.1
    waiting = gevent.spawn(alarm.wait, moment)
    called = []
    alarm.at(moment + 0.01, lambda: called.append(time.monotonic()))
    gevent.sleep(0)
    waiting.kill()
    gevent.sleep(0.2)
    assert len(called) == 1


def test_nobody_is_called_after_the_end():
    alarm, called = Alarm(), []
    alarm.at(time.monotonic() + 0.05, lambda: called.append(1))
    alarm.close()
    alarm.close()
    gevent.sleep(0.1)
    assert called == []


def test_who_is_added_while_it_rings_is_called_too(alarm):
    moment, called = time.monotonic() + 0.05, []
    alarm.at(moment, lambda: called.append("first"))
    time.sleep(0.1)  # it has rung, and the event loop has not yet looked
    alarm.at(moment - 1, lambda: called.append("earlier"))
    alarm.at(moment + 0.1, lambda: called.append("later"))
    gevent.sleep(0.2)
    assert called == ["earlier", "first", "later"]
