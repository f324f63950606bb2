"""Changes to modules that may not be imported yet: none is imported for the sake of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from pynet_browser.stdlib.patches import Patches

__all__ = ["patch_when_imported"]

Change = Callable[[Patches, ModuleType], None]


def patch_when_imported(patches: Patches, changes: Mapping[str, Change]) -> None:
    """Change these modules: those that are there at once, the others when a program imports them."""
    waiting = dict(changes)
    for name in list(waiting):
        if module := sys.modules.get(name):
            waiting.pop(name)(patches, module)
    finder = _Finder(patches, waiting)
    sys.meta_path.insert(0, finder)
    patches.at_undo(lambda: sys.meta_path.remove(finder))


class _Finder(MetaPathFinder):
    def __init__(self, patches: Patches, waiting: dict[str, Change]) -> None:
        self._patches = patches
        self._waiting = waiting

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._waiting:
            return None
        change = self._waiting.pop(fullname)  # first, since the others are asked now
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            self._waiting[fullname] = change
            return None
        spec.loader = _Loader(spec.loader, lambda module: change(self._patches, module))
        return spec


class _Loader(Loader):
    """Has a module changed as soon as it was executed."""

    def __init__(self, loader: Loader, change: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._change = change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__
        module.__spec__.loader = module.__loader__ = self._loader  # whose data and sources others look for
        self._loader.exec_module(module)
        self._change(module)
