"""Fuzzing, in this process: whatever comes in, the answer is a result or an InputError.

``python -m tests.fuzz KIND [COUNT]`` runs one kind; each file in ``kinds`` is one:

- ``attempt(rng, folder) -> object`` makes one case from ``rng`` alone and tries it. It returns (a result) or raises
  InputError (a refusal); every other exception is a fault. An ``AssertionError`` is a wrong result.
- ``prepare()`` (optional) makes once what cases share, such as networks.

A case is a function of its kind and number: ``python -m tests.fuzz KIND --case 123`` runs it alone, with its traceback.
"""
