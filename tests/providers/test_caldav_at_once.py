"""Accounts are opened by several threads at once, in a process that has just begun as well."""

from __future__ import annotations

import sys
import threading

import pytest
from caldav.compatibility_hints import FeatureSet

from providers.caldav.server import Server
from providers.model import Connection


@pytest.fixture
def forgotten():
    """Lets the package forget what its first client sets up for all; threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def forget():
        if hasattr(FeatureSet, "_feature_tree"):
            del FeatureSet._feature_tree
        for feature in FeatureSet.FEATURES.values():
            for name in ("name", "parent", "subfeatures"):
                feature.pop(name, None)

    yield forget
    sys.setswitchinterval(before)


def test_the_first_accounts_of_a_process_may_be_opened_at_once(forgotten):
    faults = []

    def open_one(together):
        together.wait()
        try:
            Server.open(Connection("http://127.0.0.1:1/")).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
            faults.append(repr(error))

    for _ in range(25):
        forgotten()
        together = threading.Barrier(4)
        threads = [threading.Thread(target=open_one, args=(together,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []
