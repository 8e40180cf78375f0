"""The job as Prefect flows: the same stages, each wrapped as a task.

nightly    the flow that does the whole job
adjust     the same by a short form, with what one changes for a run
on_demand  one stage or one move, for a recipe by name
maintain   housekeeping of lakes and of Prefect's own database
deployed   the recipes that Prefect knows by name
form       titles of a flow's parameters
stages     the stages as tasks, and which faults are tried again
show       what a run shows in the UI: artifacts and log
events     what others are told, so that a lost process loses nothing
session    what a command and the flow run in the same process tell each other

Only this folder and `flows.cockpit` import Prefect. Nothing is persisted by Prefect: results are in
the lake, and parameters hold the recipe, never a credential.
"""
