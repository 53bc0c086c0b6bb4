# make          set up .venv, run the pipeline on the default game, print the table
# make play     play the result in a window
# make compare  this run beside the last commit's, and all runs in a table that fits a terminal
# make test     set up and run the tests
# make fast     those that take less than a minute together
# Needs only Python 3.11, git and make.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
WEIGHTS := $(VENV)/share/dreamcart/vgg16.safetensors
# DVC starts the stages with `python`: let that be ours.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: all setup play compare test fast format lock clean

all: setup
	$(RUN) dvc repro
	$(BIN)/python scripts/table.py

# A downloaded ZIP has no git: then DVC runs the pipeline without it, and keeps no experiments.
setup: $(VENV)/ready $(WEIGHTS)
	@test -e .git || $(BIN)/dvc config --local core.no_scm true
	@test ! -e .git || ! grep -qs no_scm .dvc/config.local || $(BIN)/dvc config --local --unset core.no_scm

# uv only fetches and unpacks faster than pip; it comes from PyPI into the same environment. Compiling once
# here saves every process seconds of start-up where Python may not write its cache.
$(VENV)/ready: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	touch $@

# AlexNet's and VGG16's, once. Without a network everything else works, and the message says what goes without them.
$(WEIGHTS): | $(VENV)/ready
	-$(BIN)/python -m dreamcart.core.pretrained

play: setup
	$(BIN)/python stages/play.py

# Of many columns those that say most: scores at 60 steps, the settings that differ. `dvc exp show` has them all.
HIDDEN := Created|.*\.(001|005|010|030|300)|(l1|ssim)\..*|(train|play|changed|before|after)\..*|rounds|frames|exact|l1|l1_changed|ssim|colours|tiles|.*/.*

compare: setup
	$(RUN) dvc metrics diff
	$(RUN) dvc exp show --no-pager --only-changed --drop '^($(HIDDEN))$$'

# Two files of tests at a time: what their tests share is made once a file.
test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(RUN) python -m pytest -n 2 --dist loadfile

fast: setup
	$(BIN)/ruff check .
	$(RUN) python -m pytest -q -n 2 --dist loadfile -m "not slow"

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra formats --extra web --python-version 3.11 --no-header --no-annotate --no-emit-index-url -o requirements.lock

clean:
	rm -rf $(VENV) checkpoints
