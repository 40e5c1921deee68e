"""An installation that was opened before: its database has the newest schema, and its key is there.

Making both anew for every test would take longer than most tests.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd.config import load_config
from syncd.services import open_services


def furnish(folder: Path) -> None:
    """Put an empty database and its key into a folder."""
    for name, content in _made().items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


@cache
def _made() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        config = Path(folder, "config.toml")
        config.touch()
        open_services(load_config(config, {})).store.close()
        return {name: Path(folder, name).read_bytes() for name in ("syncd.db", "secret.key")}
