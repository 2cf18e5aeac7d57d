"""Tests of `controller/planning`."""
