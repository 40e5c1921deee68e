"""Writes `openapi.json`: the API as the code has it.

.venv/bin/python docs/openapi.py openapi.json
"""

from __future__ import annotations

import sys
from pathlib import Path

from syncd.api.app import document
from syncd.api.document import text_of

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text_of(document()), encoding="utf-8")
