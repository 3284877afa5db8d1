# Every target sets up what it needs: a virtual environment in .venv, made once and updated when the dependencies change.
# Needs make and Python 3.10 or newer with venv; on Debian or Ubuntu: apt-get install make python3-venv
#
#   make quick FLAGS="--game flappy_bird"       more flags for train.py
#   make test FLAGS="-m slow"                   more flags for pytest
#   make quick PYTHON=python3.12                another Python for a new .venv
#   PIP_EXTRA_INDEX_URL=URL make quick          another source of PyTorch, such as its index of small CPU-only builds

PYTHON ?= python3
DOCKER ?= docker
IMAGE ?= dqn-mer
VENV ?= .venv
FLAGS ?=

python := $(VENV)/bin/python
installed := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help quick test fuzz test-cpus check docs dist tensorboard docker clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

quick: $(installed) ## train for a minute or two and show the scores
	$(python) train.py --preset quick --log-dir runs $(FLAGS)
	@printf 'learning curves: %s\n' "$$(ls -t runs/*/learning_curves.png | head -n 1)"

test: $(installed) ## run the tests, on all cores
	$(python) -m pytest -n auto --maxprocesses 8 --dist loadfile $(FLAGS)

fuzz: $(installed) ## run the tests with drawn examples on new examples, twenty times as many
	HYPOTHESIS_PROFILE=fuzz $(python) -m pytest -n auto --maxprocesses 8 --dist load -m "hypothesis and not slow" $(FLAGS)

test-cpus: $(installed) ## run the tests as on other processors, on one core, with many threads, without Numba
	bash tests/helpers/cpus.sh $(python) -m pytest -n auto --maxprocesses 8 --dist loadfile $(FLAGS)

check: $(installed) ## lint, check the format and the types
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

docs: $(VENV)/.installed-docs ## build the documentation as a site, into build/site
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build $(FLAGS)

dist: $(VENV)/.installed-release ## build wheel and source archive into dist/, check them, install and try both
	bash tests/helpers/dist.sh $(python)

tensorboard: $(installed) ## watch the runs in a browser
	$(python) -m tensorboard.main --logdir runs $(FLAGS)

docker: ## build the container image; the Dockerfile tells how to run it
	$(DOCKER) build -t $(IMAGE) $(FLAGS) .

clean: ## remove .venv, caches and build leftovers; runs/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./runs -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(installed): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo 'error: Python 3.10 or newer is needed, as $(PYTHON); or: make PYTHON=...' >&2; exit 1; }
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV) \
		|| { echo 'error: no venv; on Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(python) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.installed-%: $(installed)
	$(python) -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
