"""From specs to verdicts: the pytest plugin that runs them, and what becomes of their results."""
