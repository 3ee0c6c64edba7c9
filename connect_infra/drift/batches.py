"""Which drifts share one look at a host: as many as can't disturb each other."""

from collections.abc import Iterable
from dataclasses import dataclass

from connect_infra.drift.ways import Drift, Way


@dataclass(frozen=True)
class Unit:
    """Drifts that are made together: one way, all of its changes or one."""

    way: Way
    drifts: tuple[Drift, ...]

    @property
    def components(self) -> frozenset[str]:
        """The components whose controls are to turn red."""
        return frozenset(drift.component for drift in self.drifts)

    @property
    def touches(self) -> frozenset[str]:
        """All components whose controls may turn red by it."""
        return self.components | set(self.way.touches)

    def disturbs(self, other: "Unit") -> bool:
        """Whether one of the two could turn the other's controls red."""
        return bool(self.touches & other.components or other.touches & self.components)


@dataclass(frozen=True)
class Batch:
    """Units that do not disturb each other: on a host at once, with one look at all."""

    units: tuple[Unit, ...]

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """All drifts of the batch."""
        return tuple(drift for unit in self.units for drift in unit.drifts)

    @property
    def touches(self) -> frozenset[str]:
        """All components that it touches."""
        return frozenset().union(*(unit.touches for unit in self.units))

    @property
    def intrusive(self) -> bool:
        """Whether intrusive specs look at it; those run without any other."""
        return any(unit.way.intrusive for unit in self.units)

    def takes(self, unit: Unit) -> bool:
        """Whether a unit can join: it disturbs no other, and is looked at by the same kind."""
        disturbed = any(unit.disturbs(other) for other in self.units)
        return not disturbed and self.intrusive == bool(unit.way.intrusive)


def units(drifts: Iterable[Drift]) -> tuple[Unit, ...]:
    """Group the drifts of a way; each for itself where they would disturb each other."""
    grouped: dict[tuple[int, str], list[Drift]] = {}
    for drift in drifts:
        grouped.setdefault((id(drift.way), drift.component), []).append(drift)
    found: list[Unit] = []
    for same in grouped.values():
        way = same[0].way
        found += [Unit(way, (one,)) for one in same] if way.alone else [Unit(way, tuple(same))]
    return tuple(found)


def batches(drifts: Iterable[Drift]) -> tuple[Batch, ...]:
    """Pack all units into few batches; a unit goes into the first that takes it.

    Units that touch most come first, because they find a place least easily.
    """
    packed: list[Batch] = []
    for unit in sorted(units(drifts), key=lambda unit: -len(unit.touches)):
        place = next((n for n, batch in enumerate(packed) if batch.takes(unit)), None)
        if place is None:
            packed.append(Batch((unit,)))
        else:
            packed[place] = Batch((*packed[place].units, unit))
    return tuple(packed)
