"""Packages of the wheel: the code, and as data the scenarios and experiments at the root of the repository."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["netsim", "netsim.*"]),
        *find_packages("codecs"),
        "netsim.scenarios",
        "netsim.experiments",
    ]
)
