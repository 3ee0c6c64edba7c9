"""Comes first in what is sent: the modules that came along are imported from memory."""

from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Arrived(MetaPathFinder, Loader):
    """Finds and loads modules by their full names."""

    def __init__(self, sources: dict[str, str]) -> None:
        """Keep the sources; a name with others below it is a package's."""
        self.sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the import system needs, if the module came along."""
        if fullname not in self.sources:
            return None
        package = any(name.startswith(fullname + ".") for name in self.sources)
        return ModuleSpec(fullname, self, is_package=package)

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module from its source."""
        name = module.__name__
        exec(compile(self.sources[name], f"<{name}>", "exec"), vars(module))
