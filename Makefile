.PHONY: install demo test check bench pictures openapi fuzz lock clean
PYTHON ?= python3
SECONDS ?= 300
# Most tests wait for a server most of the time: two for each processor.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
BIN := .venv/bin

install: .venv/installed
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

demo: install
	$(BIN)/syncd demo

test: check
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: install
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

pictures: install
	$(BIN)/python docs/tour.py docs/pictures

openapi: install
	$(BIN)/python docs/openapi.py openapi.json

fuzz: install
	$(BIN)/pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python tests/fuzz/run.py calendar -max_total_time=$(SECONDS)
	$(BIN)/python tests/fuzz/run.py multistatus -max_total_time=$(SECONDS)

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra demo --group dev \
		--generate-hashes --no-annotate --no-header --upgrade -o requirements.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz .schemathesis
