"""Recorded output of find, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import layout
from connect_infra.facts.base import Output


def test_paths_with_owner_and_mode(recorded):
    facts = layout.parse(recorded("layout"))
    assert facts.entries["backup"].type == "d"
    assert facts.shown("backup").startswith("directory, mode 7")
    assert facts.shown("no/such/path") == "missing"


def test_a_link_and_where_it_leads():
    lines = "l\td\t777\troot\troot\t/opt/connect/current\treleases/2025-01-01T00-00-00\n"
    entry = layout.parse({"paths": Output(0, lines, "")}).entries["current"]
    assert entry.shown == "link to releases/2025-01-01T00-00-00, mode 777, root:root"
    assert entry.leads_to == "d"


def test_only_what_is_directly_below():
    rows = ["releases", "releases/a", "releases/a/b", "releasesx"]
    lines = "".join(f"d\td\t755\troot\troot\t/opt/connect/{row}\t\n" for row in rows)
    facts = layout.parse({"paths": Output(0, lines, "")})
    assert [entry.path for entry in facts.below("releases/")] == ["/opt/connect/releases/a"]


def test_a_line_of_another_kind_is_an_error():
    with pytest.raises(ObservationError, match="type, mode, owner"):
        layout.parse({"paths": Output(0, "find: permission denied\n", "")})
