"""`syncd connect caldav --preset`: ten services by name, their addresses, and what each wants for a password."""

from __future__ import annotations

import pytest

from providers.caldav.advice import advice
from syncd.cli.presets import PRESETS, address_of, find_preset, preset_of
from syncd.errors import ApiError


@pytest.mark.parametrize(
    ("name", "server", "address"),
    [
        ("icloud", "", "https://caldav.icloud.com/"),
        ("Fastmail", "", "https://caldav.fastmail.com/dav/principals/user/ada@example.org/"),
        ("nextcloud", "cloud.example.org", "https://cloud.example.org/remote.php/dav/"),
        ("nextcloud", "https://example.org/cloud/", "https://example.org/cloud/remote.php/dav/"),
        ("nextcloud", "https://example.org/cloud/index.php/apps/calendar", "https://example.org/cloud/remote.php/dav/"),
        ("nextcloud", "https://cloud.example.org/remote.php/dav", "https://cloud.example.org/remote.php/dav/"),
        ("nextcloud", "http://127.0.0.1:8080", "http://127.0.0.1:8080/remote.php/dav/"),
        ("mailbox.org", "", "https://dav.mailbox.org/caldav/"),
        ("posteo", "", "https://posteo.de:8443/"),
        ("gmx", "", "https://caldav.gmx.net/begenda/dav/ada@example.org/"),
        ("yahoo", "", "https://caldav.calendar.yahoo.com/"),
        ("zimbra", "mail.example.org", "https://mail.example.org/dav/"),
        ("zimbra", "https://mail.example.org/dav/", "https://mail.example.org/dav/"),
        ("radicale", "https://example.org:5232", "https://example.org:5232/"),
        ("own", "dav.example.org/caldav.php/ada/", "https://dav.example.org/caldav.php/ada/"),
    ],
)
def test_each_service_has_its_address(name, server, address):
    assert address_of(find_preset(name), server, "ada@example.org") == address


def test_what_is_odd_in_a_user_name_is_kept_out_of_the_path():
    assert address_of(find_preset("gmx"), "", "a/b?c").endswith("/a%2Fb%3Fc/")


@pytest.mark.parametrize("server", ["", "ftp://x.example", "https://", "a server", "https://[::1/"])
def test_what_is_no_server_is_refused(server):
    with pytest.raises(ValueError, match="must be a server"):
        address_of(find_preset("nextcloud"), server, "ada")


def test_a_name_that_no_service_has_is_told_with_those_there_are():
    with pytest.raises(ApiError, match=r"right would be one of icloud, fastmail, .*, own"):
        find_preset("hotmail")


def test_every_service_says_which_password_it_wants_and_where_that_was_read():
    for preset in PRESETS:
        assert "password" in preset.password
        assert preset.source or preset.key == "own"
        assert preset_of(address_of(preset, "x.example", "ada")) == (None if preset.needs_server else preset)


def test_what_is_advised_at_a_wrong_address_is_the_presets_own():
    for key in ("icloud", "mailbox.org", "posteo", "yahoo"):
        told = advice(find_preset(key).address, None)
        assert told is not None
        assert find_preset(key).address in told


def test_a_person_chooses_a_service_and_is_told_which_password_it_wants(shell, on_terminal, scripted):
    scripted.make_calendar("Work")
    terminal = on_terminal("connect", "caldav", "ada", "--name", "cloud")
    terminal.answer("Which is it? A number", "99")
    terminal.answer("must be a number from 1 to 10", "3")
    terminal.answer("server's address", "not a server")
    terminal.answer("must be a server", f"{scripted.url}remote.php/dav/")
    terminal.answer("user name there", scripted.username)
    terminal.answer("Password of", scripted.password)
    assert "Settings, Security, Devices & sessions" in terminal.shown
    terminal.answer("Which of them block?", "nope")
    terminal.answer("there is no calendar 'nope'; right would be one of Work", "1")
    terminal.answer("Which takes the consultations", "none")
    assert terminal.end() == 0
    (account,) = shell("accounts", "--json").json["accounts"]
    assert (account["name"], account["url"]) == ("cloud", f"{scripted.url}remote.php/dav/")
    assert [(c["blocks"], c["target"]) for c in account["calendars"]] == [(True, False)]


def test_a_preset_says_the_address_for_a_script_too(shell, radicale):
    radicale.make_calendar("Work")
    wish = ("connect", "caldav", "ada", "--preset", "radicale", "--server", radicale.url)
    shell.fails(2, "--username is needed", *wish, stdin=f"{radicale.password}\n")
    done = shell(*wish, "--username", radicale.username, "--json", stdin=f"{radicale.password}\n")
    assert done.code == 0, done.err
    assert [c["name"] for c in done.json["calendars"]] == ["Work"]


def test_without_an_address_a_script_is_told_what_to_say(shell):
    shell.fails(2, "--url or --preset is needed; the presets are icloud,", "connect", "caldav", "ada", stdin="x\n")
    shell.fails(2, "--url is needed", "connect", "ics", "ada")
    shell.fails(
        1, "`syncd freelancer add eve` makes one", "connect", "caldav", "eve", "--preset", "icloud", stdin="x\n"
    )


def test_a_new_password_needs_no_new_address(shell, radicale):
    shell.configure(private=False)
    radicale.make_calendar("Work")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--allow-private")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    shell.fails(77, "refuses this user name or password", "connect", "caldav", "ada", stdin="wrong\n")
    again = shell("connect", "caldav", "ada", "--json", stdin=f"{radicale.password}\n")
    assert again.code == 0, again.err
    assert [c["blocks"] for c in again.json["calendars"]] == [True]


def test_a_feed_asks_for_its_address(shell, on_terminal, feed, event):
    feed.text = event("a", "20261123T100000Z", "20261123T103000Z")
    terminal = on_terminal("connect", "ics", "ada")
    terminal.answer("feed's address", feed.url)
    terminal.answer("Which of them block?", "*")
    assert terminal.end() == 0
