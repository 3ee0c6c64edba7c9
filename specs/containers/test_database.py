"""Deployment strategy v1.0, Performance: the two indexes and the cache of matches."""

import json
import re

import pytest

ORGANIZATION = 1


def squeezed(text):
    return re.sub(r'[\s"]', "", text).lower()


@pytest.mark.controls(
    "bluegreen.database.idx_funding_matches_org_score",
    "bluegreen.database.idx_funding_programs_agency",
)
def test_the_index_is_what_is_documented(control, facts, found):
    definition = facts.patroni.door.indexes.get(control.key, "none")
    table, _, columns = found(definition).partition(" USING btree ")
    on = table.rpartition(".")[2]
    assert squeezed(on + columns) == squeezed(control.expected)


@pytest.mark.controls(
    "bluegreen.database.idx_funding_matches_org_score",
    "bluegreen.database.idx_funding_programs_agency",
)
def test_the_planner_uses_the_index(control, facts, found):
    assert control.key in found(facts.patroni.plan(control.key).indexes())


@pytest.mark.controls("bluegreen.database.match_cache")
def test_matches_are_kept_for_the_documented_time(control, site, connection, found):
    pattern, seconds = re.fullmatch(r"key (\S+), TTL (\d+) s", control.expected).groups()
    key = pattern.replace("<id>", str(ORGANIZATION))
    path = f"/api/matches?organizationId={ORGANIZATION}"
    first, second = site.ask(path), site.ask(path)
    assert (first.status, second.status) == (200, 200)
    assert second.one("x-cache") == "HIT", "the second answer did not come from the cache"
    assert second.body == first.body
    ask = "docker exec connect_redis redis-cli"
    kept = connection.run(f"{ask} ttl {key}; {ask} get {key}", sudo=True)
    ttl, value = kept.stdout.split("\n", 1)
    found(f"{key} TTL {ttl}")
    assert 0 < int(ttl) <= int(seconds)
    assert json.loads(value) == json.loads(second.body)
    if first.one("x-cache") == "MISS":
        assert int(ttl) >= int(seconds) - 10, "it was kept just now"
