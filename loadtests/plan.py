"""All that a generator needs to know of a run: it travels to every worker as one JSON text."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from connect_infra.errors import LoadError
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
    remote: bool = False
    """The workers are on other machines: each takes addresses of its own machine."""

    def source(self, user: int) -> str:
        """The address that a user comes from."""
        if not self.sources:
            return ""
        # A worker has every `workers`-th user, and with addresses of its own should use them all.
        place = user // self.workers if self.remote else user
        return self.sources[place % len(self.sources)]

    @property
    def sources_each(self) -> int:
        """How many addresses a worker takes, so that all together have what the profile wants."""
        return -(-self.profile.sources // self.workers)

    def require_sources(self, workers: Sequence[Sequence[str]]) -> None:
        """LoadError when the run would be one of nginx' limits instead of the site.

        `workers` has the addresses of each worker; several may come from the same ones.
        """
        rates: defaultdict[str, float] = defaultdict(float)
        for addresses in workers:
            for one in addresses or ("one address",):
                rates[one] += self._limited_rate / self.workers / max(1, len(addresses))
        address, rate = max(rates.items(), key=lambda one: one[1])
        if self.profile.over_the_limit or rate <= API_LIMIT:
            return
        raise LoadError(
            expected="enough client addresses",
            found=f"{rate:.0f} requests a second below /api/ from {address}, "
            f"of which the site allows {API_LIMIT:.0f}",
            where=f"profile {self.profile.name}",
            remedy="give the machine more addresses, or make load from more machines",
        )

    @property
    def _limited_rate(self) -> float:
        """Requests a second at most, of all users together, which nginx counts by address."""
        profile = self.profile
        limited = sum(weight for name, weight in profile.mix.items() if name in LIMITED)
        return max(step.rate for step in profile.steps) * limited / sum(profile.mix.values())

    @classmethod
    def parse(cls, text: str) -> Self:
        """A plan from its JSON text; LoadError when another version has written it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as problem:
            raise LoadError(
                expected="a plan of this version",
                found=str(problem.errors()[0]["msg"]),
                where="the plan of the run",
                remedy="have the same checkout on all machines that make load",
            ) from problem
