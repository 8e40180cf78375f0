"""The jobs: recipe, stages, nightly, command line, reports.

Prefect is imported only when a run is tracked.
"""
