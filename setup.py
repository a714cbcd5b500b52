"""What setup.cfg cannot hold: a list of packages that are found, and one that is named."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["localtune", "localtune.*"]),
        # A namespace that belongs to Hydra: setup.cfg says where its files are.
        "hydra_plugins",
    ]
)
