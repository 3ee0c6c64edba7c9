"""Controls, errata and expectations: the types of what the documents say.

A control is one documented statement, an erratum says where one does not work as written, and an
expectation is what a given target must therefore show.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from connect_infra.document.sizing import Sizing, scale
from connect_infra.document.values import DURATION_UNITS, Value, ValueType, parse
from connect_infra.errors import DocumentError, ObservationError

DOCUMENTED_DOMAIN = "your-domain.com"
"""The domain of document A, a placeholder for the target's own."""

Kind = Literal["setting", "fact", "objective", "behaviour", "procedure", "derived"]
"""`derived` stands in no document by itself: it follows from several statements together."""

ErratumKind = Literal["changed", "addition", "refuted"]

Topology = Literal["native", "containers"]
"""How a target runs the platform: document A says it of native services, S of containers."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Control(_Row):
    """One documented statement. `documented` is verbatim; `expected` only where an erratum is."""

    id: str = Field(min_length=1)
    document: Literal["A", "S"] = "A"
    section: str
    component: str
    key: str
    documented: str = Field(min_length=1)
    kind: Kind
    type: ValueType
    unit: str = ""
    """What a bare number of type duration counts in: `ms`, `s`, …"""
    scaled: bool = False
    floor: str | None = None
    expected: str | None = None
    erratum: str | None = None
    """The erratum in force, if any; taken from the errata when the data is loaded."""
    aliases: tuple[Annotated[tuple[str, str], Strict(False)], ...] = Field(default=(), strict=False)
    """(as the service shows it, as the document has it) where a service renames a value."""
    lab_not_applicable: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Control":
        if self.scaled and self.type != "memory":
            raise ValueError(f"expected type memory for `scaled`, found {self.type}")
        if (self.floor is not None) != self.scaled:
            raise ValueError("expected `floor` and `scaled` together, found one of them")
        if self.unit and (self.type != "duration" or self.unit not in DURATION_UNITS):
            raise ValueError(f"expected a unit of a duration, found {self.unit} of a {self.type}")
        for text in (self.documented, self.expected, self.floor):
            if text is not None:
                self.parse(text)
        return self

    def parse(self, text: str) -> Value:
        """Return `text` as a value of this control's type. Raises ValueError."""
        return parse(self.type, dict(self.aliases).get(text, text), self.unit)


class Erratum(_Row):
    """A statement that was suspected, what a real host did with it, and what we do."""

    id: str = Field(pattern=r"E[0-9]{2,3}")
    controls: tuple[str, ...] = Field(min_length=1, strict=False)
    title: str = Field(min_length=1)
    kind: ErratumKind
    documented: str = Field(min_length=1)
    happens: str = Field(min_length=1)
    instead: str = Field(min_length=1)
    test: str = Field(pattern=r"tests/[\w/]+\.py::test_\w+")


@dataclass(frozen=True)
class Expectation:
    """What one target must show for one control, in the spelling of the documents."""

    control: Control
    expected: str
    applicable: bool = True
    reason: str | None = None
    """Why the control is not applicable on the target."""

    @property
    def id(self) -> str:
        """The control's id."""
        return self.control.id

    @property
    def key(self) -> str:
        """The name of the setting in its own service."""
        return self.control.key

    @property
    def value(self) -> Value:
        """The expected value, comparable with what `parse` makes of an observation."""
        return self.control.parse(self.expected)

    def parse(self, text: str) -> Value:
        """Return an observed text as a value; ObservationError if it can't be one."""
        try:
            return self.control.parse(text)
        except ValueError as problem:
            raise ObservationError(
                expected=f"a value of type {self.control.type}",
                found=repr(text),
                where=self.id,
                remedy=f"see what the service shows for {self.key} ({problem})",
            ) from problem


@dataclass(frozen=True)
class Document:
    """Every control and erratum of one topology, by id, in the order of its document."""

    controls: Mapping[str, Control]
    errata: Mapping[str, Erratum]

    def component(self, name: str) -> tuple[Control, ...]:
        """Return the controls of one component; DocumentError if there is none of that name."""
        found = tuple(control for control in self.controls.values() if control.component == name)
        if not found:
            raise DocumentError(
                expected=f"one of {', '.join(self.components)}",
                found=repr(name),
                where="component",
                remedy="use one of the documented components",
            )
        return found

    @property
    def components(self) -> tuple[str, ...]:
        """The components' names in the order of the documents."""
        return tuple(dict.fromkeys(control.component for control in self.controls.values()))

    def errata_of(self, control: str) -> tuple[Erratum, ...]:
        """Return every erratum, refuted ones included, that names the control."""
        return tuple(each for each in self.errata.values() if control in each.controls)

    def errata_in_force(self, controls: Iterable[str]) -> tuple[Erratum, ...]:
        """Return the errata that were not refuted and name any of the controls."""
        named = set(controls)
        return tuple(
            each
            for each in self.errata.values()
            if each.kind != "refuted" and named.intersection(each.controls)
        )

    def on(
        self, sizing: Sizing, memory: int | None, lab: bool, domain: str = DOCUMENTED_DOMAIN
    ) -> Mapping[str, Expectation]:
        """Return what a target must show, by control id.

        `memory` is the target's in bytes, needed where `sizing` is scaled; `domain` takes the
        place of the documented placeholder. Raises DocumentError if the memory is missing.
        """
        if sizing == "scaled" and memory is None:
            raise DocumentError(
                expected="the target's memory",
                found="none",
                where='sizing = "scaled"',
                remedy='set memory (such as "8GiB") for the target in the inventory',
            )
        share = memory if sizing == "scaled" else None
        return {
            control.id: _expectation(control, share, lab, domain)
            for control in self.controls.values()
        }


def _expectation(control: Control, memory: int | None, lab: bool, domain: str) -> Expectation:
    text = control.documented if control.expected is None else control.expected
    if control.scaled and memory is not None:
        text = scale(text, memory, control.floor)
    reason = control.lab_not_applicable if lab else None
    return Expectation(
        control=control,
        expected=text.replace(DOCUMENTED_DOMAIN, domain),
        applicable=reason is None,
        reason=reason,
    )
