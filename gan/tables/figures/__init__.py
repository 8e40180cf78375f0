"""Figures of a table as data: what a report shows of synthetic rows beside the real ones.

    columns   what may be drawn of a column, and its real and synthetic distribution
    pairs     how far every pair of columns is off, and all rows in one plane
    rows      ten synthetic rows, and the worst columns in numbers
    tails     totals, tails and distinct values of the numeric columns
    structure the rules of the table, and how many rows keep each

Of the real side only sums, means and shares are shown, each over at least `min_group` rows; no real
value is an edge, a limit of an axis or a summary, unless that many rows hold it.
"""
