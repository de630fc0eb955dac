"""Rebuild the simulated files of the bundled films: ``python -m workbench.catalogs.films``."""

from workbench.catalogs.films import simulate, write_simulation
from workbench.catalogs.films.bundle import FOLDER

if __name__ == "__main__":
    simulation = simulate()
    write_simulation(simulation)
    print(f"{len(simulation.interactions):,} simulated interactions of {len(simulation.users):,} viewers in {FOLDER}")
