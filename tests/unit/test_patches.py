"""Changes to modules and classes that can be undone."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from pynet_browser.stdlib.patches import Patches


class Base:
    def inherited(self) -> str:
        return "of the base"


class Owner(Base):
    attribute = "original"

    @staticmethod
    def static() -> str:
        return "static"

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @property
    def computed(self) -> str:
        return "computed"


@pytest.fixture
def owner() -> type[Owner]:
    """A class with the same members, for this test alone."""
    return type("Owner", (Base,), {name: value for name, value in vars(Owner).items() if name != "__dict__"})


def replacement(*_: object) -> str:
    return "replaced"


def test_an_attribute_is_replaced_and_put_back(owner):
    patches = Patches()
    patches.set(owner, "attribute", "new")
    assert owner.attribute == "new"
    patches.undo()
    assert owner.attribute == "original"


def test_a_module_is_patched_like_a_class():
    module: Any = types.ModuleType("module")
    module.present = 1
    patches = Patches()
    patches.set(module, "present", 2)
    patches.set(module, "absent", 3)
    assert (module.present, module.absent) == (2, 3)
    patches.undo()
    assert module.present == 1
    assert not hasattr(module, "absent")


def test_what_a_class_only_inherits_is_inherited_again(owner):
    patches = Patches()
    patches.set(owner, "inherited", replacement)
    assert owner().inherited() == "replaced"
    assert Base().inherited() == "of the base"
    patches.undo()
    assert "inherited" not in vars(owner)
    assert owner().inherited() == "of the base"


CALLS: dict[str, Callable[[Any], str]] = {
    "static": lambda owner: owner.static(),
    "of_class": lambda owner: owner.of_class(),
    "computed": lambda owner: owner().computed,
}


@pytest.mark.parametrize("name", CALLS)
def test_methods_of_every_kind_come_back_as_what_they_were(owner, name):
    member, answer = vars(owner)[name], CALLS[name](owner)
    patches = Patches()
    patches.set(owner, name, staticmethod(replacement))
    patches.undo()
    assert vars(owner)[name] is member
    assert CALLS[name](owner) == answer


def test_an_attribute_patched_twice_is_put_back_to_the_first(owner):
    patches = Patches()
    for value in ("new", "newer"):
        patches.set(owner, "attribute", value)
        patches.set(owner, "added", value)
    patches.undo()
    assert owner.attribute == "original"
    assert not hasattr(owner, "added")


def test_undoing_twice_does_nothing_more(owner):
    patches = Patches()
    patches.set(owner, "attribute", "new")
    patches.undo()
    owner.attribute = "changed by others"
    patches.undo()
    assert owner.attribute == "changed by others"


def test_what_cannot_be_patched_stands_in_nobodys_way(owner):
    patches = Patches()
    patches.set(owner, "attribute", "new")
    with pytest.raises(TypeError):
        patches.set(int, "attribute", "new")
    patches.undo()
    assert owner.attribute == "original"
