# `make demo` and `make test` are all a newcomer needs; each sets up .venv on its own.
PYTHON ?= python3
SERVE ?= 1
VENV := .venv
BIN := $(VENV)/bin
DATA := data/online-retail
MODELS := popularity,als,ease,mult-vae,dan-edlae,blend
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev demo serve test soak lint clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/runtime  ## Make .venv with what recsys needs to run

setup-dev: $(VENV)/dev  ## Make .venv with what the tests need, too

demo: demo/campaign/manifest.json demo/write-key.txt  ## Train, compare, recommend, mail and serve on the bundled shop
	@cat demo/inspect.txt demo/train.txt demo/evaluation.txt demo/recommend.txt demo/campaign.txt
	@echo "While it serves, a purchase counts at once (key in demo/write-key.txt):"
	@echo "  curl -H 'Authorization: Bearer $$(cat demo/write-key.txt)'" \
		"-d '{\"id\": \"1\", \"user\": \"12347\", \"item\": \"22423\"}' 127.0.0.1:8000/events"
ifneq ($(SERVE),0)
	@$(BIN)/recsys serve
endif

serve: models/current  ## Serve the trained model on http://127.0.0.1:8000
	@$(BIN)/recsys serve

test: setup-dev lint  ## Run every check and test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
		$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

soak: setup-dev  ## Run the tests that take minutes
	$(BIN)/python -m pytest -m soak --timeout 3600

lint: setup-dev  ## Check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## Remove what demo and setup made
	rm -rf $(VENV) demo models

$(VENV)/python-ok:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "recsys needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/python-ok pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime
	$(PIP) --editable '.[dev,postgres,ray]'
	@touch $@

demo/inspect.txt: $(VENV)/runtime
	@mkdir -p demo
	@echo "Reading $(DATA) …"
	@$(BIN)/recsys inspect $(DATA) > $@

models/current demo/train.txt &: demo/inspect.txt
	@echo "Training …"
	@$(BIN)/recsys train --data $(DATA) > demo/train.txt

demo/evaluation.txt: demo/train.txt
	@echo "Comparing models on held-out customers (a minute or two) …"
	@$(BIN)/python evaluate.py --data $(DATA) --settings tuned --models $(MODELS) \
		--json demo/evaluation.json > $@

demo/recommend.txt: demo/evaluation.txt models/current
	@$(BIN)/recsys recommend --user 12347 > $@

# shown once, so it is kept here; the store has its hash alone
demo/write-key.txt: demo/train.txt
	@umask 077 && $(BIN)/recsys keys add --scope write --name demo > $@ 2> /dev/null

# the audience of the demo's campaign: every customer of the shop, once
demo/customers.csv: demo/inspect.txt
	@$(BIN)/python -c "import pandas; pandas.read_parquet('$(DATA)/events.parquet', \
		columns=['user_id']).drop_duplicates().to_csv('$@', index=False)"

demo/campaign/manifest.json: demo/customers.csv demo/recommend.txt
	@echo "Scoring every customer for an email …"
	@rm -rf demo/campaign
	@$(BIN)/recsys campaign --users demo/customers.csv --out demo/campaign > demo/campaign.txt
