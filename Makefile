# make        set up .venv, run the pipeline on the default game, print the table
# make play   play the result in a window
# make test   set up and run the tests
# Needs only Python 3.11, git and make.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# DVC starts the stages with `python`: let that be ours.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: all setup play test format lock clean

all: setup
	$(RUN) dvc repro

setup: $(VENV)/ready

# uv only fetches and unpacks faster than pip; it comes from PyPI into the same environment. Compiling once
# here saves every process seconds of start-up where Python may not write its cache.
$(VENV)/ready: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	touch $@

play: setup
	$(BIN)/python stages/play.py

# Two files of tests at a time: what their tests share is made once a file.
test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(RUN) python -m pytest -n 2 --dist loadfile

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup
	$(BIN)/uv pip compile requirements.in --python-version 3.11 --no-header --no-annotate --no-emit-index-url -o requirements.lock

clean:
	rm -rf $(VENV) checkpoints
