"""Evaluation: real side and candidate, metrics with ceilings, the gate, promotion, the report."""
