"""What a configuration file says, once it is loaded, and what a mistake in it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from syncd.config import Config, length_text, load_config, parse_length
from syncd.errors import ConfigError, exit_code

ADA = """
[freelancers.ada]
time_zone = "Europe/London"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-12:00"]
[freelancers.ada.consultations.intro]
[freelancers.ada.accounts.home]
provider = "caldav"
url = "https://dav.example/"
password_env = "ADA_PASSWORD"
"""
SECRETS = {"ADA_PASSWORD": "hunter2"}

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, environ: Mapping[str, str] = SECRETS) -> Config:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ)

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Callable[..., list[tuple[str, str]]]:
    """The mistakes of a file as (key, message) pairs, each with the file and code 78, none with the password."""

    def mistakes(text: str, environ: Mapping[str, str] = SECRETS) -> list[tuple[str, str]]:
        with pytest.raises(ConfigError) as caught:
            load(text, environ)
        told = str(caught.value)
        assert str(tmp_path / "config.toml") in told
        assert exit_code(caught.value) == 78
        assert "hunter2" not in told + repr(caught.value)
        assert all(str(mistake) in told for mistake in caught.value.mistakes)
        return [(mistake.key, str(mistake)) for mistake in caught.value.mistakes]

    return mistakes


Mistakes = Callable[..., list[tuple[str, str]]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0m", 0), ("90s", 90), ("30m", 1800), ("24h", 86_400), ("60d", 60 * 86_400), ("3660d", 3660 * 86_400)],
)
def test_a_length_is_whole_seconds_and_reads_back(text: str, seconds: int) -> None:
    assert parse_length(text) == seconds
    assert parse_length(length_text(seconds)) == seconds


def test_a_length_is_written_in_its_largest_unit() -> None:
    assert [length_text(s) for s in (0, 90, 1800, 5400, 86_400, 90_000)] == ["0m", "90s", "30m", "90m", "1d", "25h"]


@pytest.mark.parametrize("wrong", ["", "30", "m", "30 m", "-5m", "1.5h", "30min", "3661d", "٣m", "1h30m", 30, None])
def test_what_is_no_length_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="a length"):
        parse_length(wrong)


def test_an_empty_file_is_a_configuration_of_defaults(load: Load, tmp_path: Path) -> None:
    config = load("")
    assert (config.daemon.stale_after, config.daemon.keep_busy_for) == (1800, 400 * 86_400)
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8480)
    assert (config.google, config.microsoft, config.mail, dict(config.freelancers)) == (None, None, None, {})
    assert config.database_url == f"sqlite:///{tmp_path}/syncd.db"


def test_paths_are_relative_to_the_file(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    text = '[daemon]\ndatabase = "sqlite:///data/s.db?timeout=5"\nsecret_key_file = "keys/k"\n'
    config = load(text + ADA + 'ca_file = "ca.pem"')
    assert config.database_url == f"sqlite:///{tmp_path}/data/s.db?timeout=5"
    assert config.daemon.secret_key_file == tmp_path / "keys/k"
    assert config.freelancers["ada"].accounts["home"].ca_file == f"{tmp_path}/ca.pem"


def test_absolute_paths_and_postgresql_stay_as_they_are(load: Load) -> None:
    config = load('[daemon]\ndatabase = "sqlite:////var/s.db"\nsecret_key_file = "/etc/k"')
    assert (config.database_url, config.daemon.secret_key_file) == ("sqlite:////var/s.db", Path("/etc/k"))
    url = "postgresql+psycopg://u:p@db/syncd"
    config = load(f'[daemon]\ndatabase = "{url}"')
    assert config.database_url == url
    assert "u:p" not in repr(config)


def test_a_password_comes_from_the_environment_and_shows_nowhere(load: Load) -> None:
    config = load(ADA)
    password = config.freelancers["ada"].accounts["home"].password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config) + str(config)


def test_a_freelancer_is_named_after_the_handle_and_a_consultation_after_its_slug(load: Load) -> None:
    config = load(ADA.replace("ada", "ada-lovelace").replace("intro", "first-talk"))
    ada = config.freelancers["ada-lovelace"]
    assert (ada.name, ada.consultations["first-talk"].title) == ("Ada lovelace", "First talk")


def test_syncd_invites_where_mail_is_configured_unless_said_otherwise(load: Load) -> None:
    mail = '[mail]\nhost = "smtp.example"\nfrom = "Ada <ada@example>"\n'
    without, configured = load(ADA), load(mail + ADA)
    said = load(mail + ADA.replace("[freelancers.ada]\n", '[freelancers.ada]\ninvite = "provider"\n'))
    assert [c.invite(c.freelancers["ada"]) for c in (without, configured, said)] == ["none", "syncd", "provider"]


def test_a_feed_is_pulled_every_15_minutes_and_a_calendar_as_the_daemon_says(load: Load) -> None:
    home, feed = load(ADA), load(ADA.replace("caldav", "ics"))
    own = load(ADA + 'sync_every = "90s"')
    accounts = [(c, c.freelancers["ada"].accounts["home"]) for c in (home, feed, own)]
    every = [c.sync_every(account.provider, account.sync_every) for c, account in accounts]
    assert every == [120, 900, 90]


def test_the_environment_overrides_the_sections_of_the_process(load: Load, tmp_path: Path) -> None:
    environ = SECRETS | {
        "SYNCD_DAEMON__DATABASE": "sqlite:///other.db",
        "SYNCD_DAEMON__STALE_AFTER": "45m",
        "SYNCD_DAEMON__ALLOW_PRIVATE_NETWORKS": "true",
        "SYNCD_SERVER__PORT": "9000",
        "SYNCD_SERVER__CORS_ORIGINS": '["https://ada.example"]',
        "SYNCD_SERVER__RATE_LIMITS": '{"feed": "9/second"}',
        "SYNCD_MAIL__FROM": "Ada <ada@example>",
        "SYNCD_MAIL__PASSWORD_ENV": "ADA_PASSWORD",
        "SYNCD_GOOGLE__CLIENT_ID": "gateway",
        "SYNCD_GOOGLE__CLIENT_SECRET_ENV": "ADA_PASSWORD",
        "SYNCD_MICROSOFT__CLIENT_ID": "app",
        "UNRELATED": "x",
    }
    config = load('[server]\nport = 8481\nhost = "::1"\n[mail]\nhost = "smtp.example"\n', environ)
    assert config.database_url == f"sqlite:///{tmp_path}/other.db"
    assert (config.daemon.stale_after, config.daemon.allow_private_networks) == (2700, True)
    assert (config.server.host, config.server.port) == ("::1", 9000)
    assert (config.server.cors_origins, config.server.rate_limits.feed) == (("https://ada.example",), "9/second")
    assert config.mail is not None
    assert config.google is not None
    assert config.microsoft is not None
    assert (config.mail.host, config.mail.sender) == ("smtp.example", "Ada <ada@example>")
    assert config.mail.password == config.google.client_secret_env.value
    assert config.microsoft.client_id == "app"


def test_a_loaded_configuration_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("").daemon.sync_every = 1


def test_a_mark_of_byte_order_is_no_mistake(load: Load) -> None:
    assert load("\ufeff" + ADA).freelancers.keys() == {"ada"}


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no such file; copy config.example.toml"):
        load_config(tmp_path / "nowhere.toml", {})


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path, {})


def test_bad_toml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[daemon]\nsync_every = "2m\n')
    with pytest.raises(ConfigError, match=r"config\.toml: must be TOML: .*line 2"):
        load_config(path, {})
    path.write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="must be UTF-8; byte 2"):
        load_config(path, {})


CONSULTATION = "freelancers.ada.consultations.intro"
IN_CONSULTATION = [
    ('durations = ["0m"]', "durations[0]", '"0m": must be longer than nothing'),
    ('durations = ["90s"]', "durations[0]", "must be whole minutes"),
    ("durations = []", "durations", "[]: must be at least one, and none twice"),
    ('durations = ["30m", "30m"]', "durations", "none twice"),
    ('questions = [{ id = "a", label = "A" }, { id = "a", label = "B" }]', "questions", "an id of their own"),
    ('durations = "30m"', "durations", "must be a list in square brackets"),
    ('increment = "0m"', "increment", "must be longer than nothing"),
    ('horizon = "401d"', "horizon", '"401d": must be daemon.keep_busy_for (400d) at most'),
    ('minimum_notice = "1 day"', "minimum_notice", '"1 day": must be a length such as'),
    ("daily_limit = 0", "daily_limit", "0: must be 1 or more"),
    ("daily_limit = true", "daily_limit", "true: must be a whole number"),
    ('active = "yes"', "active", "must be true or false"),
    ("title = 5", "title", "5: must be text in quotes"),
    ('confirmation = "kye"', "confirmation", "\"kye\": must be 'automatic', 'key' or 'freelancer'"),
    ('schedule = "defalt"', "schedule", '"defalt": must be one of this freelancer\'s schedules (default)'),
    ('blocks = ["home"]', "blocks[0]", '"home": must be "account/calendar"'),
    ('blocks = ["home/Work", "Wrok/X"]', "blocks[1]", '"Wrok/X": must be "account/calendar"'),
    ('target = "home/"', "target", '"home/": must be "account/calendar"'),
    ('price = { amount = 75, currency = "EUR" }', "price.amount", "75: must be text in quotes"),
    ('price = { amount = "75", currency = "euro" }', "price.currency", "must be an ISO 4217 code"),
    ('questions = [{ id = "Goal!", label = "?" }]', "questions[0].id", "must be lower-case words"),
    ('questions = [{ id = "goal" }]', "questions[0].label", "is missing, for example: label ="),
    ('minimum_notise = "1h"', "minimum_notise", 'unknown key; did you mean "minimum_notice"?'),
]


@pytest.mark.parametrize(("line", "key", "told"), IN_CONSULTATION)
def test_a_mistake_in_a_consultation_names_key_value_and_what_is_right(
    mistakes: Mistakes, line: str, key: str, told: str
) -> None:
    ((where, message),) = mistakes(ADA.replace(".intro]", f".intro]\n{line}"))
    assert where == f"{CONSULTATION}.{key}"
    assert told in message


ELSEWHERE = [
    ("[daemon]\nstale_after = 30", "daemon.stale_after", "30: must be a length"),
    (
        '[daemon]\ndatabase = "mysql://u:hunter2@db/s"',
        "daemon.database",
        '"mysql://***@db/…": must be "sqlite:///FILE"',
    ),
    ('[daemon]\ndatabase = "sqlite:///:memory:"', "daemon.database", "must be"),
    ('[daemon]\npublic_url = "syncd.example"', "daemon.public_url", "must be an address that starts with http"),
    ('daemon = "x"', "daemon", "must be a table"),
    ("[deamon]", "deamon", 'unknown key; did you mean "daemon"?'),
    ('[server]\ncors_origins = ["https://a.example/x"]', "server.cors_origins[0]", "must be an origin"),
    ('[server]\ntrusted_proxies = ["proxy"]', "server.trusted_proxies[0]", '"proxy": must be an address or a network'),
    ('[server]\nrate_limits = { feed = "many" }', "server.rate_limits.feed", '"many": must be a rate such as'),
    ("[server]\nport = 70000", "server.port", "70000: must be 65535 or less"),
    ('[google]\nclient_id = "x"', "google.client_secret_env", 'is missing, for example: client_secret_env = "GOOGLE_'),
    ('[mail]\nhost = "h"', "mail.from", "is missing, for example: from ="),
    ('[mail]\nhost = "h"\nfrom = "Ada"', "mail.from", '"Ada": must be an address such as'),
    ('[mail]\nhost = "h"\nfrom = "a@b"\npasword = "hunter2"', "mail.pasword", "unknown key; did you mean"),
    ('[mail]\nhost = "h"\nfrom = "a@b"\npassword_env = "hunter2"', "mail.password_env", "its value is not shown"),
    (
        '[mail]\nhost = "h"\nfrom = "a@b"\npassword_env = "SMTP"',
        "mail.password_env",
        '"SMTP": must be the name',
    ),
    ("[freelancers.Ada]\ntime_zone = 'UTC'", "freelancers.Ada", "must be lower-case words with dashes"),
    ("[freelancers.me]\ntime_zone = 'UTC'", "freelancers.me", "reserved"),
    ("[freelancers.bob]", "freelancers.bob.time_zone", 'is missing, for example: time_zone = "Europe/London"'),
    ("[freelancers.bob]\ntime_zone = 'europe/berlin'", "freelancers.bob.time_zone", 'did you mean "Europe/Berlin"?'),
    ("[freelancers.bob]\ntime_zone = 'Europe'", "freelancers.bob.time_zone", '"Europe": must be an IANA time zone'),
]


@pytest.mark.parametrize(("text", "key", "told"), ELSEWHERE)
def test_a_mistake_names_key_value_and_what_is_right(mistakes: Mistakes, text: str, key: str, told: str) -> None:
    ((where, message),) = mistakes(text)
    assert where == key
    assert told in message


@pytest.mark.parametrize("slug", ["online", "instant", "slots", "freebusy", "bookings", "links", "Intro", "a_b", "-a"])
def test_a_slug_that_is_reserved_or_no_word_is_refused(mistakes: Mistakes, slug: str) -> None:
    ((where, _),) = mistakes(ADA.replace("intro", slug))
    assert where == f"freelancers.ada.consultations.{slug}"


HOURS = [
    ('hours = { mon = ["09:00-12:00"] }', "hours.mon", 'did you mean "monday"?'),
    ('hours = { monday = ["9-12"] }', "hours.monday", '"9-12": must be'),
    ('on = { "24/12/2026" = [] }', 'on."24/12/2026"', "must be"),
    ('on = { "2026-12-24" = ["25:00-26:00"] }', "on.2026-12-24", '"25:00-26:00": must be'),
    ('on = { "2027-01-02/2026-12-24" = [] }', 'on."2027-01-02/2026-12-24"', "must be"),
    ('time_zone = "Lundon"', "time_zone", "must be an IANA time zone"),
]


@pytest.mark.parametrize(("line", "key", "told"), HOURS)
def test_a_mistake_in_set_hours_names_the_day_or_date(mistakes: Mistakes, line: str, key: str, told: str) -> None:
    ((where, message),) = mistakes(f"{ADA}\n[freelancers.ada.schedules.extra]\n{line}")
    assert where == f"freelancers.ada.schedules.extra.{key}"
    assert told in message


def test_without_a_default_schedule_a_consultation_must_name_one(mistakes: Mistakes, load: Load) -> None:
    renamed = ADA.replace("schedules.default", "schedules.evenings")
    ((where, message),) = mistakes(renamed)
    assert where == f"{CONSULTATION}.schedule"
    assert "(evenings)" in message
    assert load(renamed.replace(".intro]", '.intro]\nschedule = "evenings"')).freelancers.keys() == {"ada"}


def test_two_accounts_cannot_both_be_the_target(mistakes: Mistakes) -> None:
    second = '[freelancers.ada.accounts.work]\nprovider = "caldav"\nurl = "https://b.example"\ntarget = "Two"'
    ((where, message),) = mistakes(f'{ADA}\ntarget = "One"\n{second}')
    assert where == "freelancers.ada.accounts.work.target"
    assert "accounts.home" in message


@pytest.mark.parametrize("provider", ["caldav", "ics"])
def test_an_account_needs_an_address(mistakes: Mistakes, provider: str) -> None:
    ((where, message),) = mistakes(ADA.replace('url = "https://dav.example/"\n', "").replace("caldav", provider))
    assert where == "freelancers.ada.accounts.home.url"
    assert "is missing, for example" in message


@pytest.mark.parametrize("written", ["webcal://dav.example/", "WebCals://dav.example/"])
def test_the_address_of_a_feed_may_say_webcal_for_https(load: Load, written: str) -> None:
    feed = ADA.replace("caldav", "ics").replace("https://dav.example/", written)
    assert load(feed).freelancers["ada"].accounts["home"].url == "https://dav.example/"


def test_a_feed_cannot_be_a_target(mistakes: Mistakes) -> None:
    feed = ADA.replace("caldav", "ics")
    assert [where for where, _ in mistakes(feed + 'target = "X"')] == ["freelancers.ada.accounts.home.target"]
    aimed = feed.replace(".intro]", '.intro]\ntarget = "home/X"')
    assert [where for where, _ in mistakes(aimed)] == [f"{CONSULTATION}.target"]


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        'password_env = ["hunter2"]',
        'url = "https://ada:hunter2@dav.example/"',
        'url = "ada:hunter2@dav.example"',
        'url = "htps://calendar.example/private-hunter2/basic.ics?token=hunter2"',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(mistakes: Mistakes, line: str) -> None:
    key = line.partition(" ")[0]
    kept = "\n".join(kept for kept in ADA.splitlines() if not kept.startswith(key))
    assert [where for where, _ in mistakes(f"{kept}\n{line}")] == [f"freelancers.ada.accounts.home.{key}"]


def test_blocked_clients_are_not_repeated(mistakes: Mistakes) -> None:
    text = ADA.replace("[freelancers.ada]\n", '[freelancers.ada]\nblocked_clients = ["a@b", "@c", "eve at example"]\n')
    ((where, message),) = mistakes(text)
    assert where == "freelancers.ada.blocked_clients[2]"
    assert "eve" not in message


def test_a_proposal_answers_a_move_only(mistakes: Mistakes) -> None:
    line = 'on_calendar_change = { delete = "propose" }'
    ((where, message),) = mistakes(ADA.replace("[freelancers.ada]\n", f"[freelancers.ada]\n{line}\n"))
    assert where == "freelancers.ada.on_calendar_change.delete"
    assert "'adopt', 'ask' or 'restore'" in message


def test_all_mistakes_are_listed_at_once_each_key_and_those_between_keys(mistakes: Mistakes) -> None:
    text = ADA.replace(".intro]", '.intro]\nincrement = "0m"\nschedule = "x"\nhorizon = "500d"').replace("09:00", "9")
    found = [where for where, _ in mistakes(text, {})]
    assert sorted(found) == sorted(
        [
            f"{CONSULTATION}.increment",
            "freelancers.ada.accounts.home.password_env",
            "freelancers.ada.schedules.default.hours.monday",
            f"{CONSULTATION}.schedule",
            f"{CONSULTATION}.horizon",
        ]
    )


VARIABLES = [
    ("SYNCD_DAEMON__STALE_AFTER", "soon", "daemon.stale_after", '"soon": must be a length'),
    ("SYNCD_SERVER__CORS_ORIGINS", "x", "server.cors_origins", "must be JSON"),
    ("SYNCD_SERVER__RATE_LIMITS__FEED", "x", "server.rate_limits.feed", '"x": must be a rate'),
    ("SYNCD_DAEMON__DATABSE", "x", "daemon.databse", 'unknown key; did you mean "database"?'),
]


@pytest.mark.parametrize(("name", "value", "key", "told"), VARIABLES)
def test_a_mistake_in_a_variable_names_the_variable(
    mistakes: Mistakes, name: str, value: str, key: str, told: str
) -> None:
    ((where, message),) = mistakes("", {name: value})
    assert where == key
    assert f"(from {name})" in message
    assert told in message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SYNCD_DEAMON__DATABASE", "only keys of daemon, server, google, microsoft, mail"),
        ("SYNCD_FREELANCERS__ADA", "only keys of daemon"),
        ("SYNCD_DAEMON_DATABASE", "did you mean SYNCD_DAEMON__DATABASE?"),
    ],
)
def test_a_misspelt_variable_is_named(mistakes: Mistakes, name: str, told: str) -> None:
    ((where, message),) = mistakes("", {name: "hunter2"})
    assert where == name
    assert told in message


def test_a_secret_may_be_in_a_variable_with_the_prefix(load: Load) -> None:
    config = load(ADA.replace("ADA_PASSWORD", "SYNCD_ADA_PASSWORD"), {"SYNCD_ADA_PASSWORD": "hunter2"})
    assert config.freelancers.keys() == {"ada"}
