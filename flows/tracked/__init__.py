"""The job as Prefect flows: the same stages, each wrapped as a task.

nightly      the flow that does the whole job
adjust       the same by a short form, with what one changes for a run
on_demand    one stage or one move, for a recipe by name
maintain     housekeeping of lakes and of Prefect's own database
deployed     the recipes that Prefect knows by name
form         titles of a flow's parameters
stages       the stages as tasks, and which faults are tried again
in_line      the graph of a run: its tasks one behind the other
approval     a question to a person, on a suspended run
slot         the slot of a GPU pool, held while a training is on CUDA
survive      how a run ends when it must, and how it outlives what started it
show         what a run shows in the UI: artifacts and log
gauge        a progress bar in the UI that moves
events       what others are told, so that a lost process loses nothing
housekeeping Prefect's own database kept small
session      what a command and the flow run in the same process tell each other

Only this folder and `flows.cockpit` import Prefect. Nothing is persisted by Prefect: results are in
the lake, and parameters hold the recipe, never a credential.
"""
