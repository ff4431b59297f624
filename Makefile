# make demo: bundles, pictures and the verdict table.   make test: everything that is tested.   Both set up what they need.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint setup engines readme clean

demo: engines
	$(BIN)/zooready demo --out export/bundles

test: engines
	$(BIN)/python -m pytest $(PYTEST)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

readme: engines  # the table of README.md, from a run
	$(BIN)/zooready demo --out export/bundles --readme README.md

setup: $(READY)

engines: setup
	$(BIN)/zooready engines install

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), "Python 3.11 to 3.13 is needed: make PYTHON=python3.12"'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[train,java,dev]'
	touch $(READY)

clean:
	rm -rf .venv export/bundles
