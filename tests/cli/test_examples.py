"""The examples do what they say, against a real daemon on a real calendar server, as the README quotes them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {"booking.sh": ["sh"], "booking.py": [sys.executable]}


@pytest.fixture(scope="module")
def demo():
    """The address of a demo's daemon."""
    command = [sys.executable, "-m", "syncd", "demo", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


def _run(name, *arguments):
    command = [*EXAMPLES[name], str(ROOT / "examples" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_holds_confirms_moves_and_cancels(demo, name):
    done = _run(name, demo, "ada/intro")
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    assert re.search(r"held as bkg_\w+ until 20", said)
    assert "Now it is confirmed" in said
    assert "It was moved to 20" in said
    assert said.endswith("It is cancelled; refund: full.\n")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_what_the_daemon_refuses(demo, name):
    done = _run(name, demo, "ada/nothing")
    assert done.returncode != 0
    assert "there is no consultation ada/nothing" in done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_readme_quotes_of_an_example_is_in_it(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = re.search(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", readme, re.DOTALL)
    assert quoted, f"the README quotes nothing of {name}"
    example = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert quoted[1] in example
