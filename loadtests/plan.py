"""All that a generator needs to know of a run: it travels to every worker as one JSON text."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from loadtests.actions import LIMITED
from loadtests.profile import Profile

API_LIMIT = 100.0
"""Requests a second that nginx lets one address make below /api/ (A 3.5)."""

KEEP_ALIVE = 65.0
"""Seconds after which nginx closes a connection on which nothing is asked (A 3.5)."""


class Plan(BaseModel):
    """One run: the profile, where the site is, and from which addresses its users come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Profile
    address: str
    port: int = 443
    domain: str
    authority: str = ""
    """The certificates to trust, as PEM; empty: those of this machine."""
    lab: bool
    """The site is a lab host: then every generator must be on the lab's own network."""
    sources: tuple[str, ...] = ()
    """Client addresses to bind connections to; none: whatever the kernel takes."""
    workers: int = 1

    def source(self, user: int) -> str:
        """The address that a user comes from."""
        return self.sources[user % len(self.sources)] if self.sources else ""

    def too_few_sources(self) -> str:
        """Why the run would be one of nginx' limits instead of the site; empty when it is not."""
        profile = self.profile
        limited = sum(weight for name, weight in profile.mix.items() if name in LIMITED)
        share = limited / sum(profile.mix.values())
        rate = max(step.rate for step in profile.steps) * share / max(1, len(self.sources))
        if profile.over_the_limit or rate <= API_LIMIT:
            return ""
        return (
            f"{rate:.0f} requests a second below /api/ from each address, "
            f"of which the site allows {API_LIMIT:.0f}"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """A plan from its JSON text."""
        return cls.model_validate_json(text)
