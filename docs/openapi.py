"""Writes `openapi.json`: the API as the code has it, on an installation that lives for a moment only.

.venv/bin/python docs/openapi.py openapi.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd.api.app import create_app
from syncd.api.document import text_of
from syncd.config import load_config
from syncd.services import open_services


def main(target: Path) -> None:
    """Write the document."""
    with TemporaryDirectory() as folder:
        config = Path(folder, "config.toml")
        config.touch()
        services = open_services(load_config(config, {}))
        target.write_text(text_of(create_app(services).openapi()), encoding="utf-8")
        services.store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
