"""Fuzzes a reader with coverage: `python tests/fuzz/run.py calendar|multistatus [libFuzzer's options]`.

Needs atheris (`make fuzz` installs it). Seeds come from the tests; what is found stays in `.fuzz/`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["providers", "syncd.sync", "targets"]):
    import targets

USUAL = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=20000"]


def main() -> None:
    """Run one target until told to stop."""
    name, *options = sys.argv[1:] or ["calendar"]
    check, seeds = targets.TARGETS[name]
    folder = Path(".fuzz") / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *USUAL, f"-artifact_prefix={folder}-", *options, str(folder)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
