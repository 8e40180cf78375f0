"""What a person sees of a report and of a run.

verdict   what is said of a verdict, its reasons and metrics, for every renderer
lift      what is said of "does it help?"; lift_panel: its part of the page
page      the report as one self-contained HTML file
figures   its pictures and tables; charts: lines, bars and panels; maps: heatmaps and scatter plots
html      escaped HTML, numbers as text, axes
markdown  what a tracked run shows in the UI of Prefect
"""

from flows.report.page import render

__all__ = ["render"]
