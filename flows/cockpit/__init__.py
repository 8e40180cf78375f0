"""Prefect as the cockpit: recipes registered as deployments, and the UI on this machine.

recipes       recipes of a folder, git or S3, with paths that any process understands
specs         the deployments that there should be for them, also as `prefect.yaml`
deployments   registering those, and how Prefect differs from them
watchdog      what keeps runs alive without a person
worker        Prefect's worker with a watchdog and a clean stop
local         server and worker of this machine, as processes or as services of systemd
"""
