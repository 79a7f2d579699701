# The chores. `make demo` and `make test` need nothing but Python 3.11 and make; they set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Bytecode is written, whatever the shell says: without it every start costs seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo dev test benchmarks check lint types layers format docs pictures lock clean

help: ## List the chores
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(INSTALLED) ## Watch customers and contacts arrive in both CRMs
	@$(BIN)/crm-pipeline demo $(addprefix --crm ,$(CRM))

dev: $(INSTALLED) ## The same with an hour that fails, and stay up with the Dagster UI (docs/tour.md)
	@$(BIN)/crm-pipeline dev $(addprefix --crm ,$(CRM))

test: $(INSTALLED) ## Run the tests
	@$(BIN)/python -m pytest -n 4

benchmarks: $(INSTALLED) ## Measure calls, memory, import time and planning beside their limits
	@$(BIN)/python -m benchmarks

check: lint types layers test ## All that CI runs

lint: $(INSTALLED) ## Look for mistakes and untidiness
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(INSTALLED) ## Check the types, strictly
	@$(BIN)/mypy

layers: $(INSTALLED) ## Check that the layers' arrows point down
	@$(BIN)/lint-imports

format: $(INSTALLED) ## Tidy up the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(INSTALLED) ## Write the documents that come from the code
	@$(BIN)/python -m crm_pipeline.reference.answers
	@$(BIN)/python -m crm_pipeline.reference.both_ways
	@$(BIN)/python -m crm_pipeline.reference.errors
	@$(BIN)/python -m crm_pipeline.reference.yaml

pictures: $(INSTALLED) ## Take the pictures of README anew, of a demo in chromium
	@$(BIN)/python -m crm_pipeline_tests.pictures

lock: $(INSTALLED) ## Pin the newest versions that agree
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --no-emit-index-url --no-annotate pyproject.toml --output-file constraints.txt

clean: ## Remove what the chores made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache artifacts *.egg-info

# uv installs the pinned versions in seconds where pip takes minutes. It leaves compiling to the first import, which is better done
# here than by each of the processes that a command starts at once.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$(sed -n 's/^uv==//p' constraints.txt)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[test]'
	@$(BIN)/python -c 'import dagster._cli, dagster_postgres, crm_pipeline.component, crm_pipeline.sync.loading.load'
	@touch $@
