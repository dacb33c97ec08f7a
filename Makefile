# make lab    the workbook in JupyterLab (the first time it builds .venv)
# make test   every test that needs no GPU
# make site   all lessons, glossary, API and gallery as pages, in site/
# make handout   lessons without solutions and their slides, to print, in handout/ (LESSONS="02 04_1": these)
# Settings: PYTHON (the interpreter to start from), VENV, UV_FIND_LINKS or PIP_FIND_LINKS (a folder of wheels),
#   TORCH_BACKEND (cpu, cu129, ...; empty: torch from the package index as it is), JOBS (test processes),
#   GPU (auto, yes, no: the TensorRT packages as well), RTX (no: without NVIDIA's TensorRT-RTX),
#   SCALE (yes: with Ray and Triton, for lesson 09, tests/cluster and tests/serving),
#   LAB_ARGS (more arguments for JupyterLab), LANGUAGE (zh-CN or en, of the copies; empty: as they are),
#   REPOSITORY (OWNER/NAME on GitHub: the site gets buttons for Colab and Binder).
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
GPU ?= auto
RTX ?= auto
SCALE ?= no
LAB_ARGS ?=
# not from the environment, where LANGUAGE means the system's
LANGUAGE =
REPOSITORY ?=
LESSONS ?=
PY = $(VENV)/bin/python
BUILD = $(PYTHON) tools/environment.py --venv $(VENV) --extra dev $(RTX_$(RTX))
RTX_auto = --optional nvidia
RTX_yes = --extra nvidia
SCALE_yes = --optional scale
# The files in their order: the heaviest (a class, the exercises) come first, not last because they hold few tests.
PYTEST = $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -q
NBVAL = --nbval --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/notebooks/sanitize.cfg

.PHONY: help lab test env site handout clean

help:
	@sed -n '1,9s/^# //p' Makefile

env:
	@$(BUILD) --extra classroom --extra site $(SCALE_$(SCALE))

lab:
	@$(BUILD) --gpu $(GPU) $(if $(filter yes,$(SCALE)),$(SCALE_yes))
	@$(PY) -m trt_lessons.cli lab $(if $(LANGUAGE),--language $(LANGUAGE)) $(LAB_ARGS)

test: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet .
	TRT_LESSONS_BACKEND=interpreter $(PYTEST) $(NBVAL) tests notebooks

site:
	@$(BUILD) --extra site
	@$(PY) tools/make_site.py --repository "$(REPOSITORY)"

handout:
	@$(BUILD)
	@$(PY) tools/make_handout.py $(if $(LANGUAGE),--language $(LANGUAGE)) $(LESSONS)

clean:
	rm -rf $(VENV) $(VENV).old $(VENV).lock .pytest_cache .ruff_cache .hypothesis
