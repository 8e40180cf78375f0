"""Prefect as the cockpit: recipes registered as deployments, and the UI on this machine.

catalog       recipes of a folder, git or S3, with paths that any process understands
remote        bringing recipes from git or S3 into a folder
wanted        what Prefect should know of recipes and flows: one description per deployment
deployments   registering it
prefect_yaml  the same for Prefect's own command
drift         how that differs from what Prefect knows
automations   what keeps runs alive without a person
slots         the GPU slot
api           is there a Prefect API, does it answer, does it let us in
up            server, work pool, worker and deployments by one command
install       server and worker as services of systemd
"""
