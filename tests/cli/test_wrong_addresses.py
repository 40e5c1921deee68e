"""What `connect` says to an address that isn't a calendar server's."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("webcal://feeds.example/x.ics", "syncd connect ics"),
        ("dav.example.org/dav", "https://dav.example.org/dav"),
        ("https://[::1/", "starts with https:// or http:// and a host"),
    ],
)
def test_what_is_no_address_is_wrong_usage_and_told_what_would_be_right(shell, typed, told):
    shell.fails(2, told, *shell.connect(typed, "ada"), stdin="secret\n")


def test_a_port_where_nothing_listens_is_told(shell):
    shell.fails(69, "refuses connections", *shell.connect("http://127.0.0.1:1/dav/", "ada"), stdin="secret\n")


def test_a_private_address_is_told_with_what_to_set(shell):
    shell.configure(private=False)
    shell.fails(2, "allow_private", *shell.connect("http://127.0.0.1:1/dav/", "ada"), stdin="secret\n")


def test_a_server_beside_a_preset_that_knows_its_own_is_told_to_be_unused(shell):
    wish = ("connect", "caldav", "ada", "--preset", "icloud", "--server", "dav.example.org", "--username", "ada")
    shell.fails(2, "--server isn't used", *wish, stdin="secret\n")
