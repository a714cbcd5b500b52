"""Everything about this package stands in setup.cfg."""

from setuptools import setup

setup()
