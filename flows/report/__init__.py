"""The report page: one self-contained HTML file from one `gan.report.Report`.

    markup    escaped HTML, the only place where text becomes markup
    numbers   how figures are written
    scales    axes: ranges, ticks, positions
    lines, bars, panels, heatmap, scatter   the charts, as inline SVG and HTML that need no script
    figures   the kinds of figure, by name
    sections  verdict, samples, metrics, training, data, events, provenance
    render    the page

The page knows the schema of a report and nothing of modalities: whoever measures adds figures as
data.
"""

from flows.report.page import render

__all__ = ["render"]
