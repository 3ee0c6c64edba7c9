"""Drills: a fault on a host under work, and what recovery took, measured against an objective."""
