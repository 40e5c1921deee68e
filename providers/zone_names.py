"""Names of zones: what programs write for a TZID → the IANA name it stands for.

Decides which spellings mean a zone of the time zone database: its own names in any case, Windows' names and what
Windows shows for them, and the end of a path of a 'globally unique' TZID (RFC 5545 §3.2.19). Refuses to guess: a name
that could mean two zones means none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

_UTC_NAMES = frozenset({"utc", "etc/utc", "gmt", "etc/gmt", "z", "zulu", "etc/zulu", "tzone://microsoft/utc"})
_LONGEST = 200
_SHOWN = re.compile(r"(?:\((?:utc|gmt)(?:[+-]\d\d[:.]\d\d)?\) ?)(.+)|(\w+ time \((?:us & )?canada\)|.+, .+)", re.ASCII)
_BETWEEN = re.compile(r" ?[,;:/] ?(?!\d)")

# The examples of RFC 2445, and names that Windows has had.
_FORMER = {
    "us-eastern": "America/New_York",
    "us-central": "America/Chicago",
    "us-mountain": "America/Denver",
    "us-pacific": "America/Los_Angeles",
    "armenian standard time": "Asia/Yerevan",
    "kamchatka standard time": "Asia/Kamchatka",
    "mexico standard time": "America/Mexico_City",
    "mid-atlantic standard time": "Etc/GMT+2",
}

# What Windows and Outlook show, without the offset in front; left out are texts that have meant several zones.
_WINDOWS_SHOWS = """
Abu Dhabi, Muscat = Arabian Standard Time
Adelaide = Cen. Australia Standard Time
Alaska = Alaskan Standard Time
Aleutian Islands = Aleutian Standard Time
Amman = Jordan Standard Time
Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna = W. Europe Standard Time
Araguaina = Tocantins Standard Time
Arizona = US Mountain Standard Time
Ashgabat, Tashkent = West Asia Standard Time
Astrakhan, Ulyanovsk = Astrakhan Standard Time
Asuncion = Paraguay Standard Time
Athens, Bucharest = GTB Standard Time
Athens, Bucharest, Istanbul = GTB Standard Time
Atlantic Time (Canada) = Atlantic Standard Time
Auckland, Wellington = New Zealand Standard Time
Azores = Azores Standard Time
Baghdad = Arabic Standard Time
Baja California = Pacific Standard Time (Mexico)
Baku = Azerbaijan Standard Time
Bangkok, Hanoi, Jakarta = SE Asia Standard Time
Barnaul, Gorno-Altaysk = Altai Standard Time
Beijing, Chongqing, Hong Kong, Urumqi = China Standard Time
Beirut = Middle East Standard Time
Belgrade, Bratislava, Budapest, Ljubljana, Prague = Central Europe Standard Time
Bogota, Lima, Quito = SA Pacific Standard Time
Bogota, Lima, Quito, Rio Branco = SA Pacific Standard Time
Bougainville Island = Bougainville Standard Time
Brasilia = E. South America Standard Time
Brisbane = E. Australia Standard Time
Brussels, Copenhagen, Madrid, Paris = Romance Standard Time
Buenos Aires = Argentina Standard Time
Cabo Verde Is. = Cape Verde Standard Time
Cairo = Egypt Standard Time
Canberra, Melbourne, Sydney = AUS Eastern Standard Time
Cape Verde Is. = Cape Verde Standard Time
Cape Verde Islands = Cape Verde Standard Time
Caracas = Venezuela Standard Time
Casablanca = Morocco Standard Time
Cayenne, Fortaleza = SA Eastern Standard Time
Central America = Central America Standard Time
Central Time (US & Canada) = Central Standard Time
Chatham Islands = Chatham Islands Standard Time
Chennai, Kolkata, Mumbai, New Delhi = India Standard Time
Chetumal = Eastern Standard Time (Mexico)
Chihuahua, La Paz, Mazatlan = Mountain Standard Time (Mexico)
Chihuahua, La Paz, Mazatlan - New = Mountain Standard Time (Mexico)
Chisinau = E. Europe Standard Time
Chita = Transbaikal Standard Time
Chokurdakh = Russia Time Zone 10
City of Buenos Aires = Argentina Standard Time
Coordinated Universal Time = UTC
Coordinated Universal Time+12 = UTC+12
Coordinated Universal Time+13 = UTC+13
Coordinated Universal Time-02 = UTC-02
Coordinated Universal Time-08 = UTC-08
Coordinated Universal Time-09 = UTC-09
Coordinated Universal Time-11 = UTC-11
Cuiaba = Central Brazilian Standard Time
Damascus = Syria Standard Time
Darwin = AUS Central Standard Time
Dhaka = Bangladesh Standard Time
Dublin, Edinburgh, Lisbon, London = GMT Standard Time
Easter Island = Easter Island Standard Time
Eastern Time (US & Canada) = Eastern Standard Time
Ekaterinburg = Ekaterinburg Standard Time
Eucla = Aus Central W. Standard Time
Fiji = Fiji Standard Time
Gaza, Hebron = West Bank Standard Time
Georgetown, La Paz, Manaus, San Juan = SA Western Standard Time
Greenland = Greenland Standard Time
Greenwich Mean Time, Dublin, Edinburgh, Lisbon, London = GMT Standard Time
Greenwich Mean Time, Dublin, Edinburgh, London = GMT Standard Time
Guadalajara, Mexico City, Monterrey = Central Standard Time (Mexico)
Guadalajara, Mexico City, Monterrey - New = Central Standard Time (Mexico)
Guam, Port Moresby = West Pacific Standard Time
Haiti = Haiti Standard Time
Harare, Pretoria = South Africa Standard Time
Havana = Cuba Standard Time
Hawaii = Hawaiian Standard Time
Helsinki, Kiev, Riga, Sofia, Tallinn, Vilnius = FLE Standard Time
Helsinki, Kyiv, Riga, Sofia, Tallinn, Vilnius = FLE Standard Time
Hobart = Tasmania Standard Time
Hovd = W. Mongolia Standard Time
Indiana (East) = US Eastern Standard Time
International Date Line West = Dateline Standard Time
Irkutsk = North Asia East Standard Time
Islamabad, Karachi = Pakistan Standard Time
Istanbul = Turkey Standard Time
Izhevsk, Samara = Russia Time Zone 3
Jerusalem = Israel Standard Time
Juba = South Sudan Standard Time
Kabul = Afghanistan Standard Time
Kaliningrad = Kaliningrad Standard Time
Kathmandu = Nepal Standard Time
Khartoum = Sudan Standard Time
Kiritimati Island = Line Islands Standard Time
Krasnoyarsk = North Asia Standard Time
Kuala Lumpur, Singapore = Singapore Standard Time
Kuwait, Riyadh = Arab Standard Time
La Paz, Mazatlan = Mountain Standard Time (Mexico)
Lord Howe Island = Lord Howe Standard Time
Magadan = Magadan Standard Time
Marquesas Islands = Marquesas Standard Time
Monrovia, Reykjavik = Greenwich Standard Time
Montevideo = Montevideo Standard Time
Moscow, St. Petersburg = Russian Standard Time
Moscow, St. Petersburg, Volgograd = Russian Standard Time
Mountain Time (US & Canada) = Mountain Standard Time
Nairobi = E. Africa Standard Time
New Caledonia, Solomon Is. = Central Pacific Standard Time
Newfoundland = Newfoundland Standard Time
Norfolk Island = Norfolk Standard Time
Novosibirsk = N. Central Asia Standard Time
Nuku'alofa = Tonga Standard Time
Omsk = Omsk Standard Time
Osaka, Sapporo, Tokyo = Tokyo Standard Time
Pacific Time (US & Canada) = Pacific Standard Time
Pacific Time (US & Canada), Tijuana = Pacific Standard Time
Perth = W. Australia Standard Time
Port Louis = Mauritius Standard Time
Punta Arenas = Magallanes Standard Time
Pyongyang = North Korea Standard Time
Saint Pierre and Miquelon = Saint Pierre Standard Time
Sakhalin = Sakhalin Standard Time
Salvador = Bahia Standard Time
Santiago = Pacific SA Standard Time
Sao Tome = Sao Tome Standard Time
Sarajevo, Skopje, Warsaw, Zagreb = Central European Standard Time
Sarajevo, Warsaw, Zagreb = Central European Standard Time
Saratov = Saratov Standard Time
Saskatchewan = Canada Central Standard Time
Seoul = Korea Standard Time
Solomon Is., New Caledonia = Central Pacific Standard Time
Sri Jayawardenepura = Sri Lanka Standard Time
Taipei = Taipei Standard Time
Tbilisi = Georgian Standard Time
Tehran = Iran Standard Time
Tijuana, Baja California = Pacific Standard Time (Mexico)
Tomsk = Tomsk Standard Time
Tripoli = Libya Standard Time
Turks and Caicos = Turks And Caicos Standard Time
Ulaanbaatar = Ulaanbaatar Standard Time
Vladivostok = Vladivostok Standard Time
Volgograd = Volgograd Standard Time
West Central Africa = W. Central Africa Standard Time
Windhoek = Namibia Standard Time
Yakutsk = Yakutsk Standard Time
Yangon (Rangoon) = Myanmar Standard Time
Yerevan = Caucasus Standard Time
Yukon = Yukon Standard Time
"""


@lru_cache(maxsize=1024)
def iana_name(tzid: str) -> str | None:
    """Return the IANA name a TZID stands for: itself in any case, or that of a Windows zone; None if it is neither."""
    if len(tzid) > _LONGEST:
        return None
    folded = tzid.casefold()
    names = _names()
    return names.get(folded) or names.get(folded.replace(" ", "_")) or names.get(_shown(folded))


def suffix_name(tzid: str) -> str | None:
    """Return the IANA name at the end of a 'globally unique' TZID such as /example.org/Europe/Berlin."""
    parts = tzid.strip("/").split("/")[:8]
    return next(filter(None, (iana_name("/".join(parts[start:])) for start in range(len(parts)))), None)


def _shown(folded: str) -> str:
    """Return the part of a name that Windows shows for a zone, spelt as in the table."""
    place = folded.find(")") + 1 if folded.startswith("(") else 0
    spelt = folded[:place] + _BETWEEN.sub(", ", folded[place:])
    match = _SHOWN.fullmatch(spelt.replace(" and canada", " & canada"))
    return f"shown: {match[1] or match[2]}" if match else ""


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return the IANA names by all that is written for them, in lower case."""
    listed = files("tzdata").joinpath("zones").read_text(encoding="ascii").split()
    names = {name.casefold(): name for name in (*listed, "UTC")}
    names |= {windows.casefold(): name for windows, name in WINDOWS_TO_OLSON.items()}
    names |= dict.fromkeys(_UTC_NAMES, "UTC") | _FORMER
    for line in filter(None, _WINDOWS_SHOWS.splitlines()):
        shown, _, windows = line.partition(" = ")
        names[f"shown: {shown.casefold()}"] = names[windows.casefold()]
    return names
