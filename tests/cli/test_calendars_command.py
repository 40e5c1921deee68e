"""`syncd calendars`, `disconnect` and `freelancer`: what there is, and what of it is changed by a name."""

from __future__ import annotations

import pytest


@pytest.fixture
def connected(shell, radicale):
    """A shell with one account, of which Work blocks and takes consultations."""
    radicale.make_calendar("Work", tz="Europe/Berlin", colour="#ff8800")
    radicale.make_calendar("Home")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--target", "Work", "--name", "dav")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    return shell


def _chosen(done):
    assert done.code == 0, done.err
    return {c["name"]: (c["blocks"], c["target"]) for c in done.json["calendars"]}


def test_calendars_are_listed_with_all_that_is_known(connected):
    listed = {c["name"]: c for c in connected("calendars", "--json").json["calendars"]}
    work = listed["Work"]
    assert (work["freelancer"], work["account"], work["read_only"]) == ("ada", "dav", False)
    assert (work["time_zone"], work["colour"], work["state"]) == ("Europe/Berlin", "#ff8800", "never_pulled")
    assert connected("sync").code == 0
    shown = connected("calendars", "ada").out
    (line,) = [line for line in shown.splitlines() if "ada/dav/Work" in line]
    assert "blocks, target" in line
    assert "fresh" in line
    (line,) = [line for line in shown.splitlines() if "ada/dav/Home" in line]
    assert "free" in line
    assert "--free NAME" in shown


def test_what_blocks_and_the_target_are_changed_by_name_place_or_id(connected):
    assert _chosen(connected("calendars", "--blocks", "Home", "--json")) == {
        "Work": (True, True),
        "Home": (True, False),
    }
    done = connected("calendars", "--free", "dav/Work", "--target", "dav/Home", "--json")
    assert _chosen(done) == {"Work": (False, False), "Home": (True, True)}
    (work,) = [c["id"] for c in done.json["calendars"] if c["name"] == "Work"]
    done = connected("calendars", "--blocks", work, "--target", "none", "--json")
    assert _chosen(done) == {"Work": (True, False), "Home": (True, False)}
    assert _chosen(connected("calendars", "--free", "*", "--json")) == {"Work": (False, False), "Home": (False, False)}


def test_a_change_that_cant_be_is_told_and_changes_nothing(connected):
    before = connected("calendars", "--json").out
    connected.fails(
        1, "there is no calendar 'Nope'; right would be one of dav/Home, dav/Work", "calendars", "--free", "Nope"
    )
    connected.fails(1, "no calendar 'Nope'", "calendars", "--free", "Work", "--blocks", "Nope")
    connected.fails(2, "can't both block and be free", "calendars", "--free", "Work", "--blocks", "Work")
    connected.fails(1, "`syncd freelancer list`", "calendars", "eve")
    assert connected("calendars", "--json").out == before


def test_a_name_that_two_freelancers_calendars_have_must_be_said_more_closely(connected, radicale):
    assert connected("freelancer", "add", "bob", "--time-zone", "UTC").code == 0
    wish = ("connect", "caldav", "bob", "--url", radicale.url, "--username", radicale.username, "--name", "dav")
    assert connected(*wish, stdin=f"{radicale.password}\n").code == 0
    connected.fails(2, "could be several", "calendars", "--free", "Work")
    done = connected("calendars", "bob", "--free", "Work", "--json")
    assert _chosen(done) == {"Work": (False, False), "Home": (True, False)}
    connected.fails(2, "could be several: say which, of ada/dav, bob/dav", "disconnect", "dav")
    assert connected("disconnect", "bob/dav", "--json").json == {"account": "bob/dav", "owed": 0}


def test_what_the_file_declares_is_changed_there(shell, radicale):
    radicale.make_calendar("Work")
    shell.environment |= {"DAV_PASSWORD": radicale.password}
    lines = ["[freelancers.ada.accounts.home]", "provider = 'caldav'", f"url = '{radicale.url}'"]
    shell.configure("\n".join([*lines, f"username = '{radicale.username}'", "password_env = 'DAV_PASSWORD'"]))
    assert shell("sync").code == 0
    assert shell("calendars", "--json").json["calendars"][0]["read_only"] is True
    assert "freelancers.ada.accounts.home (blocks, target)" in shell("calendars").out
    shell.fails(1, "declared in the configuration file", "calendars", "--free", "Work")
    shell.fails(1, "declared in the configuration file", "disconnect", "ada/home")


def test_an_account_that_is_disconnected_blocks_no_more(connected):
    connected.fails(1, "there is no account 'nope': `syncd accounts` lists them", "disconnect", "nope")
    assert "ada/dav is disconnected" in connected("disconnect", "dav").out
    assert connected("calendars", "--json").json == {"calendars": []}
    assert "`syncd connect caldav FREELANCER`" in connected("calendars").out


def test_freelancers_outside_the_file_come_and_go(shell):
    made = shell("freelancer", "add", "bob", "--time-zone", "Europe/Berlin", "--name", "Bob", "--json").json
    assert (made["handle"], made["time_zone"], made["read_only"]) == ("bob", "Europe/Berlin", False)
    shell.fails(1, "already", "freelancer", "add", "bob", "--time-zone", "UTC")
    shell.fails(2, "reserved", "freelancer", "add", "bookings", "--time-zone", "UTC")
    shell.fails(2, "IANA time zone", "freelancer", "add", "eve", "--time-zone", "Berlin")
    listed = shell("freelancer", "list", "--json").json["freelancers"]
    assert [(row["handle"], row["read_only"]) for row in listed] == [("ada", True), ("bob", False)]
    assert "configuration file" in shell("freelancer", "list").out
    assert "`syncd forget bob`" in shell("freelancer", "remove", "bob").out
    shell.fails(1, "no freelancer bob", "freelancer", "remove", "bob")
    shell.fails(1, "no freelancer bob", "key", "create", "--freelancer", "bob")
    shell.fails(1, "declared in the configuration file", "freelancer", "remove", "ada")
    assert [row["handle"] for row in shell("freelancer", "list", "--json").json["freelancers"]] == ["ada"]


def test_who_makes_a_key_is_told_how_to_get_one_that_manages(shell):
    assert "--scope manage" in shell("key", "create").out
    made = shell("key", "create", "--scope", "manage", "--json").json
    assert "--scope manage" not in shell("key", "create", "--scope", "manage").out
    assert shell("key", "revoke", made["id"], "--json").json["id"] == made["id"]


def test_a_calendar_that_has_to_be_read_anew_is_shown_as_stale_with_what_to_do(shell, radicale):
    radicale.make_calendar("Work")
    assert shell(*shell.connect(radicale.url, radicale.username), stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    assert shell("slots", "ada/intro").code == 0
    file = shell.folder / "config.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("Europe/London", "Europe/Berlin"), encoding="utf-8")
    shell.fails(75, "it isn't known what is free", "slots", "ada/intro")
    (calendar,) = shell("calendars", "--json").json["calendars"]
    assert (calendar["state"], "read in full" in calendar["problem"]) == ("stale", True)
    for command in ("status", "accounts", "calendars"):
        assert "stale" in shell(command).out, command
        assert "syncd sync" in " ".join(shell(command).out.split()), command
    assert "has to be read in full" in shell("doctor").out
    assert shell("sync").code == 0
    assert shell("calendars", "--json").json["calendars"][0]["state"] == "fresh"
    assert shell("slots", "ada/intro").code == 0
