"""The job as Prefect flows: the same stages, each wrapped as a task.

nightly       the flow that does the whole job; its stages as sequential tasks, and their retries
on_demand     one stage, one move or the short form, for a recipe that is deployed; housekeeping
approval      a question to a person, on a suspended run
process       how a flow run starts and ends: errors, cancellation, the command around it
show          what a run shows in the UI: artifacts, progress, log, events
gpu_lease     the lease of a GPU, held while a training is on CUDA
housekeeping  what Prefect's database holds, kept small

Only this folder and `flows.cockpit` import Prefect. Nothing is persisted by Prefect: results are in
the lake, and parameters hold the recipe, never a credential.
"""
