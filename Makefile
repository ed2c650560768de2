# demo, test and check each make the environment when it is missing, so each is a first command.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.complete
DEMO   ?= demo
# Most tests wait for a disk, a server or a process: one more than there are cores, and never many.
JOBS   ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 3 ? cores + 1 : 4)))

.PHONY: study-resume demo test check format bench bench-store bench-peers bench-panel bench-planner bench-executors bench-host bench-web bench-cli simulate screens reference study study-executors faults torture torture-host booted clean help

help:
	@echo "make demo    real bars, the whole job: rank, probe, select, route, plan, train ($(DEMO)/)"
	@echo "make test    the whole test suite, some files at a time (JOBS=1: one)"
	@echo "make check   format, lint, types, import contracts, budgets"
	@echo "make bench   ratios against the raw libraries, measured in one run (make bench-executors QUICK=1: a first look)"
	@echo "make study   plan 20 generated panels of known truth and hold the plans to it (QUICK=1: three panels)"
	@echo "make study-executors  train each family where its kind of signal is, and where none is (QUICK=1: one panel)"
	@echo "make study-resume  kill fits of all families at random moments and compare their bundles (KILLS=5: shorter)"
	@echo "make faults  the fault campaigns and the search of the protocol, with a table of what they counted"
	@echo "make torture the same at full length"
	@echo "make booted  the units in a really booted systemd (root)"
	@echo "make simulate  a million fits on a thousand hosts by the real store and dispatcher (QUICK=1: a few thousand)"
	@echo "make screens  pictures of page, report and terminal for docs/pictures, from a real run (chromium)"
	@echo "make reference  docs/reference, made from the code"
	@echo "make torture-host  everything that tries the host, and the table of its figures (QUICK=1: minutes instead of hours)"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Trainwright needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1)"; \
	  echo "  fix  make demo PYTHON=python3.12   (any newer interpreter that is installed)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: this Python cannot make virtual environments: the package python3-venv is missing"; \
	  echo "  fix  sudo apt-get install python3-venv   then the same command again"; exit 2; }
	@echo "making $(VENV) from constraints.txt (once; torch is the large part)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,ngboost,onnx,postgres,web,gpu,mlflow,objects,ray,dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/trainwright demo --dir $(DEMO)

test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/architecture

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: bench-store bench-panel bench-planner bench-executors bench-host bench-web bench-cli

# Returns 1 when a bar is missed. WRITE=FILE keeps the table, ONLY=PART measures one part, PEERS=1 makes the
# peers' environment first (it is used whenever it is there).
bench-store: $(STAMP) $(if $(PEERS),bench-peers)
	@$(BIN)/python -m benchmarks.store $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write $(WRITE))

bench-peers: $(STAMP)
	@$(BIN)/python -m benchmarks.store.peers

bench-panel: $(STAMP)
	@$(BIN)/python -m benchmarks.panel

# Returns 1 when a bar is missed. WRITE=1 puts table and picture into docs/explanation/statistics.md.
study: $(STAMP)
	@$(BIN)/python tests/planner_study.py $(if $(QUICK),--seeds 3) $(if $(WRITE),--write)

# Returns 1 when a bar is missed. WRITE=1 puts the table into docs/explanation/executors.md.
study-executors: $(STAMP)
	@$(BIN)/python tests/executors_study.py $(if $(QUICK),--seeds 1 --noise 1) $(if $(WRITE),--write)

# Returns 1 when a bar is missed. WRITE=FILE keeps the table, ONLY=PART measures one part, FOLDER=DIR keeps the
# generated panels for the next time.
bench-planner: $(STAMP)
	@$(BIN)/python -m benchmarks.planner $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write $(WRITE)) $(if $(FOLDER),--folder $(FOLDER))

# Returns 1 when a bar is missed. WRITE, ONLY and FOLDER as above.
bench-executors: $(STAMP)
	@$(BIN)/python -m benchmarks.executors $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write $(WRITE)) $(if $(FOLDER),--folder $(FOLDER))

# Returns 1 when a bundle differs. KILLS=5 kills less often, WRITE=1 puts the table into docs/explanation/executors.md.
study-resume: $(STAMP)
	@$(BIN)/python tests/executors/resume_study.py $(if $(KILLS),--kills $(KILLS)) $(if $(WRITE),--write)

faults: $(STAMP)
	@$(BIN)/python tests/torture.py --short

torture: $(STAMP)
	@$(BIN)/python tests/torture.py

# Everything that tries the host, and the table of its figures: hours, QUICK=1 some minutes. Needs root to boot systemd.
torture-host: $(STAMP)
	@$(BIN)/python tests/torture_host.py $(if $(QUICK),--short)

# A real systemd is booted; the first time its image is built, which takes some minutes.
booted: $(STAMP)
	@$(BIN)/python -m pytest tests/booted

bench-host: $(STAMP)
	@$(BIN)/python -m benchmarks.host $(if $(QUICK),--quick) $(if $(WRITE),--write $(WRITE))

# First paint, event to screen, the cost of fifty open pages: needs chromium.
bench-web: $(STAMP)
	@$(BIN)/python -m benchmarks.web $(if $(QUICK),--quick) $(if $(WRITE),--write $(WRITE))

# What typing costs: the CPU of reading commands and of completion with 10,000 jobs.
bench-cli: $(STAMP)
	@$(BIN)/python -m benchmarks.cli $(if $(QUICK),--quick) $(if $(WRITE),--write $(WRITE))

# A million fits on a thousand hosts, and sixty-four hosts on one Postgres. Returns 1 when a bar is missed.
simulate: $(STAMP)
	@$(BIN)/python -m benchmarks.scale $(if $(QUICK),--quick) $(if $(WRITE),--write $(WRITE))

screens: $(STAMP)
	@$(BIN)/python docs/make_screens.py

reference: $(STAMP)
	@$(BIN)/python docs/make_reference.py

clean:
	rm -rf $(VENV) .venv-peers $(DEMO) .mypy_cache .ruff_cache .pytest_cache
