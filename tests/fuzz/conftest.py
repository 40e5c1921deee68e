"""The fuzzing targets, for the tests of this folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def targets() -> ModuleType:
    """What must hold whatever is read."""
    spec = importlib.util.spec_from_file_location("fuzz_targets", Path(__file__).parent / "targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
