"""Figures of series as data: what a report shows of synthetic entities beside the real ones.

Of the real side only shares, means and quantiles are shown, each over at least `min_group`
entities; single entities that are drawn are synthetic.
"""
