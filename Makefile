# Every target is one call of `python -m workbench`, which also does the set-up. PYTHON is any Python 3.11 or newer.
PYTHON ?= python3
DATASET ?= films

.PHONY: run lab test check doctor films prove-data prove-notebooks screens bench-quick bench-quality bench-speed bench-peers bench-ui kernels
lab test check doctor films prove-data prove-notebooks screens bench-quick bench-quality bench-speed bench-peers bench-ui kernels:
	@$(PYTHON) -m workbench $@

run:
	@$(PYTHON) -m workbench run --dataset "$(DATASET)"
