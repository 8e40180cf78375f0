"""Prefect as the cockpit: recipes registered as deployments, and the UI on this machine.

catalog       recipes of a folder, with paths that any process understands
deployments   what Prefect should know of a recipe, and how that differs from what it knows
up            server, work pool, worker and deployments by one command
"""
