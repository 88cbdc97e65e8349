# Everything that a user or contributor needs. `make` alone explains itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo kafka kafka-stop test chaos check bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## virtual environment, locked packages, models and sample video
	@$(BIN)/contanos models pull --needed

$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## a sample video through the whole chain, into out/demo
	@$(BIN)/contanos run demo --out out/demo

kafka: $(READY) ## a real Apache Kafka in the background, its files in out/kafka; prints its address
	@$(BIN)/python -m contanos.testing.kafka start

kafka-stop: ## stop it
	@if test -d out/kafka -a -x $(BIN)/python; then $(BIN)/python -m contanos.testing.kafka stop; fi

# One after another: each of these has a broker, and processes, of its own.
KAFKA_TESTS := tests/contract tests/services

test: setup ## every test
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile $(KAFKA_TESTS:%=--ignore %)
	@$(BIN)/python -m pytest -q $(KAFKA_TESTS)

KILLS ?= 100

chaos: setup ## the long tests, then services die KILLS times (100) and every result must stay the same
	@$(BIN)/python -m pytest -q -m long tests/services tests/backend
	@$(BIN)/python -m tests.services.chaos --kills $(KILLS) $(if $(SEED),--seed $(SEED))

check: $(READY) ## formatting, lint, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: setup ## accuracy, tracking and speed beside their peers; needs ../shared/data or CONTANOS_TEST_DATA
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements-bench.lock
	@$(BIN)/python -m bench.accuracy
	@$(BIN)/python -m bench.tracking
	@$(BIN)/python -m bench.speed

LOCK := uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --quiet \
	--extra openvino --extra postgresql --extra s3 --extra dev

lock: ## resolve the locks anew (needs uv)
	@$(LOCK) --upgrade --output-file requirements.lock
	@$(LOCK) --upgrade --extra bench --constraint requirements.lock \
		--output-file requirements-bench.lock

clean: kafka-stop ## remove what make made, except the cache of models
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .ruff_cache
