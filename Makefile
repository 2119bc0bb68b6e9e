# Everything needs only Python 3.11+ and make. The first call makes .venv with pinned versions (a few minutes).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# A worker without tests takes half of another's. By default one worker may hold all the long ones, to the end.
SPREAD := -n auto --dist worksteal
# Tests start some two hundred processes, each of which would compile the sources where a container forbids to keep them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all check docs bench train-next reproduction clean
.DELETE_ON_ERROR:

# An environment made earlier has the distribution under its former name, with outdated entry points.
$(STAMP): pyproject.toml setup.py requirements.lock
	@echo "Installing into $(VENV): some minutes without output"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip uninstall -qq --yes --disable-pip-version-check netsim
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[learned,traces,cluster,dev,docs]'
	touch $(STAMP)

# Real codecs over EP1–EP6: under five minutes on two cores; the figures and the report lie in runs/demo/.
demo: $(STAMP)
	$(BIN)/netsim run scenarios/ep_sweep.yaml --out runs/demo --figures

# Checks, then the tests but those marked slow: three minutes on two idle cores with AVX-512 and bfloat16.
test: $(STAMP) check
	$(BIN)/python -m pytest $(SPREAD) -m "not slow"

# Checks, then all tests: what CI runs; ten minutes there.
test-all: $(STAMP) check
	$(BIN)/python -m pytest $(SPREAD)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as HTML in site/. A broken link is an error. No page loads anything from the network.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Speed and memory against named references: runs/bench/results.json and the table in docs/benchmarks.md (minutes).
bench: $(STAMP)
	$(BIN)/python -m benchmarks --docs

# The next piece of codecs/training-plan.yaml, at lowest priority, on all cores: docs/how-to/training.md. Needs
# NETSIM_TRAINING_DATA, a folder of folders of images. Ctrl-C, or `kill`, writes a checkpoint; the same command goes on.
ifneq ($(filter train-next,$(MAKECMDGOALS)),)
ifeq ($(strip $(NETSIM_TRAINING_DATA)),)
$(error NETSIM_TRAINING_DATA is not set: a folder of folders of images, one of which ends with `validation`)
endif
endif
train-next: $(STAMP)
	nice -n 19 $(BIN)/python -m netcodecs.training.plan --once

# All recipes at small sizes, an hour or so on two idle cores; the page of what they gave goes to docs/reproduction.md.
reproduction: $(STAMP)
	$(BIN)/netsim reproduce --all --quick --out runs/reproduction --page docs/reproduction.md

clean:
	rm -rf $(VENV) build *.egg-info codecs/build codecs/*.egg-info
