# The commands of the README. Nothing but Python >= 3.11 has to be there before.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2
CHAOS_ROUNDS ?= 20
CHAOS_SEED   ?= 0
SOAK_MINUTES ?= 60
BENCH  ?= core

.PHONY: install run test bench bench-peers flamegraph soak chaos fuzz check audit lock docs
.DEFAULT_GOAL := help

help:
	@echo "make run    the demo day on the embedded runtime, alerts on this terminal"
	@echo "make test   all tests (Kafka needs Java >= 17 and Maven; skipped loudly where missing)"
	@echo "make bench  speed and memory, as ratios inside one run"
	@echo "make bench-peers  the matcher beside houbb/sensitive-word (needs Java and Maven)"
	@echo "make flamegraph  BENCH=core: where the time of a bench goes, its workers too; out/flamegraph.svg"
	@echo "make soak   SOAK_MINUTES=60 at 1,000 messages/s: does anything grow; out/soak.md, .svg, .csv"
	@echo "make chaos  every fault on both runtimes, CHAOS_ROUNDS=20 of each from CHAOS_SEED=0 on; table in out/chaos.md"
	@echo "make fuzz   a million broken records and a million broken HTTP requests, all accounted for"
	@echo "make check  lint, types, import contracts"
	@echo "make audit  what is installed against the lock; known vulnerabilities, where there is a network"
	@echo "make docs   rewrite the generated documents (schemas, metrics)"

$(STAMP): pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

install: $(STAMP)

run: install
	@$(BIN)/yanshao up --demo

# Half of the time is waiting (brokers, receivers, clocks of others): two at once fit one core each.
test: install
	@$(BIN)/python -m pytest -n $(JOBS)

bench: install
	@$(BIN)/yanshao bench --json bench.json

bench-peers: install
	@$(BIN)/python -m stream.bench.matcher tests/golden/evasions/forms.yaml

flamegraph: install
	@mkdir -p out
	@$(BIN)/py-spy record --subprocesses --output out/flamegraph.svg -- $(BIN)/yanshao bench $(BENCH)

soak: install
	@$(BIN)/python -m stream.bench.soak --minutes $(SOAK_MINUTES) --out out

chaos: install
	@nice -n 10 $(BIN)/python -m pytest tests/chaos --chaos=long --chaos-rounds=$(CHAOS_ROUNDS) --chaos-seed=$(CHAOS_SEED) --chaos-table=out/chaos.md

fuzz: install
	@nice -n 10 $(BIN)/python -m pytest tests/property/test_fuzz_records.py tests/integration/test_fuzz_requests.py --fuzz=long -s

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# The first part needs no network, and is among the tests.
audit: install
	@$(BIN)/python -m pytest -q tests/unit/test_dependencies_audit.py
	@$(BIN)/python deploy/audit.py

docs: install
	@$(BIN)/python -m stream.docs docs

# Needs uv on the PATH; the lock carries hashes and names no index host.
lock:
	uv pip compile --quiet --generate-hashes --no-header --universal --python-version 3.11 --all-extras pyproject.toml -o requirements.lock
