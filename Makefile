# make demo: bundles, images and the verdict table.   make test: everything that is tested.   Both set up what they need.
PYTHON ?= python3
PYTEST ?= -n logical --dist worksteal  # as many processes as there are cores; a file stays in one, so what it prepares is made once
ONE_THREAD := OMP_NUM_THREADS=1  # in each process, or all of them would ask for all cores
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
QUICK := tests/test_cli.py tests/bundle/test_rdf.py tests/images/test_drawing.py tests/report tests/exporting/test_cases.py
CP := .venv-cellprofiler
CP_INSTALL := $(BIN)/uv pip install --quiet --no-deps --python $(CP)/bin/python --constraint export/cellprofiler/constraints.txt

.PHONY: demo test quick evaluate recorded site mutations lint setup engines cellprofiler readme clean

demo: engines
	$(BIN)/zooready demo --out export/bundles

test: engines
	$(ONE_THREAD) $(BIN)/python -m pytest $(PYTEST)

quick: engines  # some two hundred tests in minutes: of the newest Python, make quick VENV=.venv-newest PYTHON=python3.13
	$(ONE_THREAD) $(BIN)/python -m pytest $(PYTEST) $(QUICK)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

readme: engines  # the table of README.md and the model cards, from a run and from records
	$(BIN)/zooready demo --out export/bundles --readme README.md --records src/zooready/weights
	$(BIN)/zooready list --cards model_cards

recorded: setup  # the runs in Fiji and pyimagej in the table of README.md, from those recorded of the weights that are there
	$(BIN)/python benchmarks/recorded.py --table

site: setup  # README, pages and model cards as HTML in site/; with MODELS=--models also a page that runs each model (minutes; needs zooready engines install --browser)
	$(BIN)/python benchmarks/site_pages.py $(MODELS)

evaluate: engines  # every number of every model card, measured again from the shipped weights; half an hour
	$(BIN)/zooready evaluate --out model_cards --records src/zooready/weights

mutations: setup  # docs/caught.md: what the check and bioimageio say of some ninety faults, and of those in every shipped bundle; goes on where it stopped
	$(BIN)/python tests/helpers/caught.py

cellprofiler: $(CP)/.ready  # CellProfiler in an environment of its own; needs a JDK (javac) and a C compiler

setup: $(READY)

engines: setup
	$(BIN)/zooready engines install

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), "Python 3.11 to 3.13 is needed: make PYTHON=python3.12"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[train,explain,java,zarr,microscopes,cluster,dev]'
	touch $(READY)

$(CP)/.ready: export/cellprofiler/constraints.txt | $(READY)  # in this order: two packages compile against numpy and the JDK
	@command -v javac && command -v cc || { echo "a JDK (javac) and a C compiler (cc) are needed: apt-get install default-jdk-headless build-essential" >&2; exit 1; }
	test -x $(CP)/bin/python || $(BIN)/uv venv --quiet --python 3.11 $(CP)
	$(CP_INSTALL) numpy cython setuptools wheel packaging
	JAVA_HOME=$${JAVA_HOME:-$$(dirname $$(dirname $$(readlink -f $$(command -v javac))))} $(CP_INSTALL) --no-build-isolation python-javabridge centrosome
	$(CP_INSTALL) --requirement export/cellprofiler/constraints.txt
	touch $(CP)/.ready

clean:
	rm -rf $(VENV) export/bundles
