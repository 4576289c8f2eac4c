"""Build configuration beside pyproject.toml: the optional native part will be declared here."""

from setuptools import setup

setup()
