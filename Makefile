# Needs only make and Python 3.11 to 3.13; everything else goes into .venv.
# PYTHON=/path/to/python make venv  picks another interpreter.

VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
INSTALLED := $(VENV)/.installed
TEST_PROCESSES ?= 2

# Tests, renders and the window's helpers start many processes: without caches each compiles the sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv run test test-faults bench installer check-installer screenshots
.DEFAULT_GOAL := run

venv: $(INSTALLED)

$(INSTALLED): pyproject.toml $(wildcard constraints/*.txt) installer/make_venv.py installer/system_libraries.py \
		installer/pose_models.py resources/models/pose/source.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; set PYTHON to its path." >&2; exit 1; }
	$(PYTHON) installer/make_venv.py $(VENV)
	@touch $@

run: venv
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname -s)" = Darwin ] || [ "$(OS)" = Windows_NT ]; \
	then $(BIN)/pirouette-desktop; else $(BIN)/pirouette demo; fi

# One thread per test process: the processes already fill the cores. A file stays in one: its fixtures are made once.
test: export QT_QPA_PLATFORM = offscreen
test: export OMP_NUM_THREADS = 1
test: venv
	@$(BIN)/python installer/system_libraries.py --for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile

# Every screen in light and dark at 100 % and 200 %, into screenshots/ (not kept in the repository).
screenshots: venv
	$(BIN)/python tests/desktop/screenshots.py

# Long fault and soak tests; at most 40 minutes on two cores.
test-faults: export QT_QPA_PLATFORM = offscreen
test-faults: export OMP_NUM_THREADS = 1
test-faults: venv
	$(BIN)/pytest -n $(TEST_PROCESSES) -m faults --timeout=2400 -rP

# How fast this machine is; for a GPU. docs/bench.md has more.
bench: venv
	$(BIN)/pirouette bench kernels
	$(BIN)/pirouette bench forward --compare
	$(BIN)/pirouette bench render

# A folder that runs without Python, dist/Pirouette; then its demo is rendered through its window. Takes minutes.
installer: venv
	@$(BIN)/python installer/system_libraries.py --for-tests
	@$(BIN)/python -c "import PyInstaller, ziglang" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet "pyinstaller>=6.11" "ziglang>=0.17; sys_platform == 'linux'"
	$(BIN)/python installer/bundle.py
	$(BIN)/python installer/check_bundle.py

# The second half of it, for a bundle that is there.
check-installer:
	$(BIN)/python installer/check_bundle.py
