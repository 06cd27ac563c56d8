# `make demo` and `make test` need Python 3.11 or newer and nothing else: they make their own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check docs bench clean

demo: $(VENV)/.ready-base
	$(BIN)/aegan demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: $(VENV)/.ready-dev
	$(BIN)/pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

# Peers need environments of their own: benchmarks/peers/README.md. Without them and without DATA only aegan is measured.
bench: $(VENV)/.ready-base
	$(BIN)/python benchmarks/bench.py --out bench-results --docs docs \
	    $(if $(DATA),--data $(DATA)) $(if $(PYTHAE)$(CTGAN),--peer-python $(PYTHAE) $(CTGAN)) $(BENCH)

clean:
	rm -rf $(VENV) aegan-demo site

$(VENV)/.made: ; $(PYTHON) -c "import sys; v = sys.version_info; sys.exit(f'Python 3.11 or newer expected, got {v.major}.{v.minor}. Try: make PYTHON=python3.11 demo' if v < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch first and alone, at the constrained version, so that nothing else picks another build of it.
$(VENV)/.ready-base: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-base
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	# Ray has no wheels for some machines; its one test is skipped there.
	-$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	touch $@
