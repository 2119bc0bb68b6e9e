"""Estimators and their 95 % intervals: arithmetic on arrays, without logs or files."""
