"""Modules that are changed when a program imports them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pynet_browser.stdlib.importing import patch_when_imported
from pynet_browser.stdlib.patches import Patches


@pytest.fixture
def patches() -> Iterator[Patches]:
    before = list(sys.meta_path)
    patches = Patches()
    yield patches
    patches.undo()
    assert sys.meta_path == before


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that was not imported yet."""
    name = "a_module_to_patch"
    (tmp_path / f"{name}.py").write_text("value = 1\nloader = __loader__\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def change(patches: Patches, module: ModuleType) -> None:
    patches.set(module, "value", module.value + 1)


def test_a_module_is_changed_when_it_is_imported(patches, module):
    patch_when_imported(patches, {module: change})
    imported = importlib.import_module(module)
    assert imported.value == 2
    assert importlib.import_module(module).value == 2
    assert imported.__spec__
    assert imported.__spec__.loader is imported.__loader__ is imported.loader
    assert Path(str(imported.__file__)).name == f"{module}.py"
    patches.undo()
    assert imported.value == 1


def test_a_module_that_is_there_is_changed_at_once(patches, module):
    imported = importlib.import_module(module)
    patch_when_imported(patches, {module: change})
    assert imported.value == 2


def test_who_undoes_before_the_import_finds_the_module_as_it_was(patches, module):
    patch_when_imported(patches, {module: change})
    patches.undo()
    assert importlib.import_module(module).value == 1


def test_a_module_that_does_not_exist_is_missing_as_ever(patches):
    patch_when_imported(patches, {"no_such_module_at_all": change})
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            importlib.import_module("no_such_module_at_all")
