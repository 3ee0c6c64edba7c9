"""What a host shows at run time: one module a subsystem, all gathered in one round trip."""

from connect_infra.facts.gather import MODULES, Facts, RawFacts, gather

__all__ = ["MODULES", "Facts", "RawFacts", "gather"]
