"""Templates to bytes; a name that a template uses and nobody gives is an error."""

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from connect_infra.errors import PlanError

TEMPLATES = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **names: object) -> bytes:
    """Render a template of templates/; PlanError when it can't be."""
    try:
        return _environment().get_template(template).render(**names).encode()
    except TemplateError as problem:
        raise PlanError(
            expected=f"{template} rendered",
            found=f"{type(problem).__name__}: {problem}",
            where=f"provisioning/templates/{template}",
            remedy="correct the template or give it what it needs",
        ) from problem
