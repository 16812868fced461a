"""The public surface: what is exported is documented, and nothing else looks public."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
from pathlib import Path
from typing import TypeVar

import pytest

import snowtrio

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
# A directive of the reference that names an object: "autoclass:: snowtrio.Connection".
DIRECTIVE = re.compile(
    r"auto(?:class|exception|function|data|attribute)::[ \t]+(snowtrio(?:\.\w+)*)\.(\w+)"
)


def find_public_modules() -> dict[str, types.ModuleType]:
    """Return the package and what stands directly in it without an underscore.

    The files inside a subpackage are its own affair; it exports what they make.
    """
    names = [found.name for found in pkgutil.iter_modules(snowtrio.__path__)]
    public = [f"snowtrio.{name}" for name in names if not name.startswith("_")]
    # A package in a package: it needs more than the one around it.
    inner = ["snowtrio.testing.websocket"]
    return {name: importlib.import_module(name) for name in ["snowtrio", *public, *inner]}


MODULES = find_public_modules()
EXPORTS = {
    (module, name): getattr(MODULES[module], name, None)
    for module in MODULES
    for name in getattr(MODULES[module], "__all__", ())
}
OBJECTS = {
    place: value
    for place, value in EXPORTS.items()
    if inspect.isclass(value) or inspect.isroutine(value)
}
DOCUMENTED = {
    (match[1], match[2])
    for page in REFERENCE.glob("*.md")
    for match in DIRECTIVE.finditer(page.read_text(encoding="utf-8"))
}


def looks_public(module: types.ModuleType, name: str) -> bool:
    """Say whether a reader would take the name for part of the module's surface.

    A package collects what its files make. A plain module also imports what it needs, so there only
    what it makes itself counts.
    """
    value = vars(module)[name]
    if name.startswith("_") or inspect.ismodule(value) or isinstance(value, TypeVar):
        return False
    home = getattr(value, "__module__", None) or module.__name__
    return home.startswith("snowtrio") if hasattr(module, "__path__") else home == module.__name__


def find_silent_members(exported: object) -> list[str]:
    """Return the public methods and properties of a class that have no docstring."""
    members = vars(exported) if inspect.isclass(exported) else {}
    return [
        name
        for name, value in members.items()
        if not name.startswith("_")
        if inspect.isroutine(value) or isinstance(value, property)
        if not inspect.getdoc(getattr(exported, name))
    ]


@pytest.mark.parametrize("module", MODULES)
def test_a_public_module_is_described_and_lists_its_names_once(module: str) -> None:
    assert MODULES[module].__doc__
    names = list(MODULES[module].__all__)
    assert len(names) == len(set(names))
    assert not [name for name in names if not hasattr(MODULES[module], name)]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_looks_public_without_being_listed(module: str) -> None:
    public = {name for name in vars(MODULES[module]) if looks_public(MODULES[module], name)}
    assert not public - set(MODULES[module].__all__)


def test_what_is_exported_says_that_it_comes_from_there() -> None:
    homes = {place: (value.__module__, place[1]) for place, value in OBJECTS.items()}
    assert not {
        place: home for place, home in homes.items() if EXPORTS.get(home) is not OBJECTS[place]
    }


def test_what_is_exported_has_docstrings() -> None:
    assert not [place for place, value in OBJECTS.items() if not value.__doc__]


def test_public_members_of_exported_classes_have_docstrings() -> None:
    found = {place: find_silent_members(value) for place, value in OBJECTS.items()}
    assert not {place: silent for place, silent in found.items() if silent}


def test_what_is_exported_is_in_the_reference() -> None:
    # A name exported from two packages is described in one of them.
    described = [EXPORTS[place] for place in DOCUMENTED & EXPORTS.keys()]
    missing = [
        place
        for place, value in EXPORTS.items()
        if place not in DOCUMENTED and not any(value is other for other in described)
    ]
    assert not missing, "add them to docs/reference"


def test_the_reference_names_nothing_that_is_not_exported() -> None:
    assert not sorted(DOCUMENTED - EXPORTS.keys())
