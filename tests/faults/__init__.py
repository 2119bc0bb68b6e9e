"""Faults of the machine: processes killed at random moments, disks that fill, folders that can't be written.

``python -m tests.faults [COUNT]`` kills COUNT runs for each way to run, and says how many gave the undisturbed bytes.
"""
