"""Bytes of an answer before a parser sees them: what XML may not hold is mended, at a bounded cost."""

from __future__ import annotations

import tracemalloc

import pytest
from lxml import etree

from providers.caldav import wire


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"a\x0bb\x00c", "a?b?c"),
        (b"tab\tline\n", "tab\tline\n"),
        (b"&#55356;&#57225;", "\U0001f389"),
        (b"&#xFFFE;&#11;&#65;", "\ufffd\ufffdA"),
        (b"\xef\xbf\xbe\xef\xbf\xbf", "\ufffd\ufffd"),
        ("Grüße 🎉 각".encode(), "Grüße 🎉 각"),
    ],
)
def test_what_xml_may_not_hold_costs_no_answer(sent, read):
    assert etree.fromstring(wire.readable(b"<a>" + sent + b"</a>")).text == read


def test_mending_takes_no_more_memory_than_a_few_times_the_answer():
    sent = b"<a>" + b"\x01a&#1" * 1_000_000 + b"</a>"
    tracemalloc.start()
    wire.readable(sent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(sent)
