# make demo                       the whole job on simulated rooms; OTOC_DATA=FOLDER: on recordings
# make test                       ruff, mypy and every test
# make lint                       ruff and mypy alone
# Each sets up $(VENV) by itself. Others: make test VENV=.venv-numpy1 NUMPY=1 PYTHON=python3.12
VENV ?= .venv
export VENV PYTHON NUMPY OTOC_DATA

# env python3 in installed scripts must find the virtual environment
activated := PATH="$(abspath $(VENV))/bin:$$PATH"

.PHONY: demo test lint setup clean
.DEFAULT_GOAL := test

demo: setup
	@$(activated) otoc demo $(ARGS)

test: lint
	@$(activated) pytest $(ARGS)

lint: setup
	@$(activated) ruff check .
	@$(activated) ruff format --check .
	@$(activated) mypy

setup:
	@tools/setup_venv.sh

clean:
	rm -rf $(VENV) build install log demo
