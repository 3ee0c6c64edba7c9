"""The pytest plugin: gives specs a target's facts, and turns their outcomes into verdicts.

A spec names the controls that it asserts; it runs once for each, and its test id holds the
control's id. Each part is a plugin of its own; what those who run specs need to know stands here.
"""

pytest_plugins = [
    "connect_infra.report.plugin.life_cycle",
    "connect_infra.report.plugin.gathering",
    "connect_infra.report.plugin.controls",
    "connect_infra.report.plugin.fixtures",
    "connect_infra.report.plugin.verdicts",
    "connect_infra.report.plugin.handover",
]

IN_PROCESS = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
"""Options for a run in a process that has imported this package before conftest.py names it."""

SPECS = "specs"
"""The directory whose tests are specs, below pytest's root directory."""

UNUSABLE = 2
"""Exit code when the target can't be used: unknown, unreachable, or it forbids what was asked."""

NOTHING_ASSERTED = 1
"""Exit code when the specs that ran asserted no control."""

RECORD = "connect_infra"
"""The user property that carries a result from a test to the report, also between processes."""
