"""Loads the plugin that gives specs their target, facts and verdicts."""

pytest_plugins = ["connect_infra.report.plugin"]
