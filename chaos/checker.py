"""What a final read says about a history: a pure function, as in Jepsen's set checker."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.history import Operation


@dataclass(frozen=True)
class Findings:
    """Elements by what became of them, sorted. Which of them are bad is said beside each."""

    attempted: int
    acknowledged: int
    refused: int
    unknown: int
    read: int
    lost: tuple[int, ...]
    """Acknowledged and not read: the failure that RPO counts."""
    unexpected: tuple[int, ...]
    """Read and never attempted: a failure whatever the objective."""
    recovered: tuple[int, ...]
    """Unknown at the time, and read: fine."""
    phantom: tuple[int, ...]
    """Refused and read all the same: a failure whatever the objective."""
    duplicated: tuple[int, ...]
    """Read more than once."""
    lost_at: tuple[float, ...]
    """When the lost writes had been acknowledged, in order (monotonic seconds)."""

    @property
    def impossible(self) -> bool:
        """Whether something was read that can't be there, or that was refused."""
        return bool(self.unexpected or self.phantom)

    def rpo_seconds(self, faults_at: Sequence[float]) -> float:
        """How far before a fault the writes that it took reach back; 0 when none is lost.

        A lost write belongs to the first fault after its acknowledgement. One that was acknowledged
        after the last fault reaches back to none, and is still counted as lost.
        """
        reach = [
            next((fault - at for fault in sorted(faults_at) if fault >= at), 0.0)
            for at in self.lost_at
        ]
        return max(reach, default=0.0)


def check(history: Sequence[Operation], read: Iterable[int]) -> Findings:
    """Hold a history against the elements that a final read of the primary returned."""
    counted = Counter(read)
    of: dict[str, set[int]] = {"ok": set(), "fail": set(), "info": set()}
    for operation in history:
        of[operation.outcome].add(operation.element)
    there = set(counted)
    lost = of["ok"] - there
    attempted = of["ok"] | of["fail"] | of["info"]
    lost_at = [
        one.completed for one in history if one.element in lost and one.completed is not None
    ]
    return Findings(
        attempted=len(attempted),
        acknowledged=len(of["ok"]),
        refused=len(of["fail"]),
        unknown=len(of["info"]),
        read=len(there),
        lost=tuple(sorted(lost)),
        unexpected=tuple(sorted(there - attempted)),
        recovered=tuple(sorted(of["info"] & there)),
        phantom=tuple(sorted(of["fail"] & there)),
        duplicated=tuple(sorted(one for one, times in counted.items() if times > 1)),
        lost_at=tuple(sorted(lost_at)),
    )
