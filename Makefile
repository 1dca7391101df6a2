# `make run` and `make test` do all the set-up themselves; `make help` lists the rest.

# Any CPython from 3.11 to 3.13 (TensorFlow 2.20 has no wheel for others); PYTHON= overrides.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$each && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
# Settings come from the files and the locks, never from a user's site or a half-set PYTHONPATH.
export PYTHONNOUSERSITE = 1
PIP = $(BIN)/python -m pip --disable-pip-version-check

# make run: which models, where. MODEL unset means: all that models/ holds, else MobileNetV2.
MODEL ?=
WEIGHTS ?=
MODELS ?= models
# This machine only; `make run HOST=0.0.0.0` opens the gateway (never the model server) to the network.
# Not ?=: some shells export HOST, as this machine's name, and nobody would have asked for that.
HOST = 127.0.0.1
PORT ?= 8000
GRPC_PORT ?= 8500
REST_PORT ?= 8501
# What computes: tensorflow, openvino, or auto, whichever is faster on this machine.
ENGINE ?= auto

# make test: ARGS="-k name" narrows it, JOBS=1 runs it in one process, COVERAGE=1 measures branches
# and holds them against the bar in pyproject.toml. Many tests wait for servers: two workers do not
# keep two cores busy.
JOBS ?= 3
ARGS ?=
COVERAGE ?=

.DEFAULT_GOAL := help
.PHONY: help run demo torch test test-docker test-images bench lint format lock docs screenshots clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
	while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

run: $(VENV)/.run ## Serve a model: MODEL=digits|MobileNetV2|flowers.keras|..., WEIGHTS=FILE, PORT=8000, ENGINE=auto
	@SIGHTSERVE_STARTED_BY=make $(BIN)/python -m sightserve serve $(MODEL) --weights "$(WEIGHTS)" \
	--models "$(MODELS)" --engine "$(ENGINE)" --host "$(HOST)" --port $(PORT) --grpc-port $(GRPC_PORT) \
	--rest-port $(REST_PORT)

demo: $(VENV)/.run ## Train and publish the handwritten-digits model
	@$(BIN)/python -m exporter demo --base-path "$(MODELS)"

torch: $(VENV)-torch/.torch ## Make an environment with PyTorch, for export --torch and its tests

test: $(VENV)/.dev ## Run the tests; ARGS="..." goes to pytest
	$(BIN)/python -m pytest -n $(JOBS) --no-loadscope-reorder -m "not docker" \
	$(if $(COVERAGE),--cov --cov-report=term:skip-covered) $(ARGS)

test-docker: $(VENV)/.dev ## Build the images and test them on a Docker engine; ARGS="--require-docker"
	$(BIN)/python -m pytest -m docker tests/docker $(ARGS)

test-images: $(VENV)/.dev ## Build the images that test-docker tests, ahead of it
	$(BIN)/python -m tests.docker.building

bench: $(VENV)/.dev ## Race against what others would use, 20 minutes; ARGS="--quick", ARGS="--model ResNet50"
	@$(BIN)/python -m bench.race $(ARGS)

# Each extra declares what its packages import, and no more. (The embedded server is no REST client;
# what a plain install brings, the client and the command, the servers do not use; arrays are the caller's, and `serve` is of the
# extras.)
DEPTRY = $(BIN)/deptry --no-ansi
ENGINES = serving,openvino,nncf,bench
OTHER_EXTRAS = --optional-dependencies-dev-groups
lint: $(VENV)/.dev ## Check style, types, layers, dependencies and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(DEPTRY) app contract protocol $(OTHER_EXTRAS) all,client,exporter,onnx,torch,plots,sign,$(ENGINES),dev --per-rule-ignores "DEP002=rich"
	$(DEPTRY) exporter contract protocol $(OTHER_EXTRAS) all,client,gateway,otel,sign,$(ENGINES),dev
	$(DEPTRY) serving contract protocol $(OTHER_EXTRAS) all,client,gateway,otel,exporter,onnx,torch,plots,sign,nncf,bench,dev \
	--per-rule-ignores "DEP004=httpx,DEP002=rich|typer|ml-dtypes"
	$(DEPTRY) sightserve $(OTHER_EXTRAS) all,gateway,otel,exporter,onnx,torch,plots,sign,$(ENGINES),dev --per-rule-ignores "DEP002=numpy,DEP004=google"
	$(BIN)/python scripts/generate_messages.py --check
	$(BIN)/python scripts/generate_configuration.py --check
	$(BIN)/python scripts/generate_signatures.py --check
	$(BIN)/python scripts/generate_reference.py --check
	$(BIN)/python scripts/generate_engines.py --check
	$(MAKE) --no-print-directory docs

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# dev.lock is resolved first and binds the others, so that every environment has one set of versions.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml
TENSORFLOW = requirements/tensorflow-cpu.in
lock: $(VENV)/.dev ## Write the lock files again from pyproject.toml; UPGRADE=1 takes newer versions
	$(LOCK) $(if $(UPGRADE),--upgrade) $(TENSORFLOW) --extra gateway --extra otel --extra exporter --extra serving \
	--extra onnx --extra sign --extra openvino --extra nncf --extra bench --extra dev -o requirements/dev.lock
	$(LOCK) -c requirements/dev.lock --extra gateway -o requirements/gateway.lock
	$(LOCK) -c requirements/dev.lock --extra gateway --extra otel -o requirements/otel.lock
	$(LOCK) -c requirements/dev.lock $(TENSORFLOW) --extra exporter -o requirements/exporter.lock
	$(LOCK) -c requirements/dev.lock $(TENSORFLOW) --extra exporter --extra onnx -o requirements/onnx.lock
	$(LOCK) -c requirements/dev.lock requirements/torch.in --extra torch -o requirements/torch.lock
	$(LOCK) -c requirements/dev.lock $(TENSORFLOW) --extra serving -o requirements/serving.lock
	$(LOCK) -c requirements/dev.lock --extra openvino -o requirements/openvino.lock
	$(LOCK) -c requirements/dev.lock $(TENSORFLOW) --extra gateway --extra exporter --extra serving \
	--extra openvino -o requirements/run.lock

docs: $(VENV)/.dev ## Build the documentation as a site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

screenshots: $(VENV)/.dev ## Take the pictures of the page in docs/pictures/ again
	@$(BIN)/python -m scripts.screenshots

clean: ## Remove the environment, caches and published models
	rm -rf $(VENV) $(MODELS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build site

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed and none was found;" \
	"name one with PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: $(PYTHON) could not create a virtual" \
	"environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# .venv/bin/sightserve is this checkout's command, as pip would install it from a wheel.
define COMMAND
printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/python" -m sightserve "$$@"\n' "$(CURDIR)" "$(abspath $(BIN))" \
	> $(BIN)/sightserve && chmod +x $(BIN)/sightserve
endef

# --no-deps: the locks are complete, and tensorflow-serving-api would pull a second TensorFlow in.
$(VENV)/.run: requirements/run.lock | $(VENV)/bin/python
	@echo "Installing what the servers and the exporter need (about 450 MB to fetch, once) ..."
	@$(PIP) install --quiet --require-hashes --no-deps -r $<
	@$(COMMAND)
	@touch $@

$(VENV)/.dev: requirements/dev.lock | $(VENV)/bin/python
	@echo "Installing what the tests need (about 700 MB to fetch, once) ..."
	@$(PIP) install --quiet --require-hashes --no-deps -r $<
	@$(COMMAND)
	@touch $@ $(VENV)/.run

# Apart from the rest: on Linux PyTorch's wheel brings CUDA along, and it must never meet TensorFlow.
$(VENV)-torch/.torch: requirements/torch.lock
	@test -x $(VENV)-torch/bin/python || $(PYTHON) -m venv $(VENV)-torch
	@echo "Installing PyTorch (on x86-64 Linux 2.5 GB to fetch and 4 GB on disk, once) ..."
	@$(VENV)-torch/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r $<
	@touch $@
