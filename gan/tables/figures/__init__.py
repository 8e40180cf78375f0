"""Pictures of a table as data: what a report shows of synthetic rows beside the real ones.

    columns   what may be drawn of a column, and its values as numbers or levels
    overlays  the distribution of every column
    pairs     how far every pair of columns is off
    plane     all rows in the plane of their two main components
    rows      ten synthetic rows, and the worst columns in numbers

Of the real side only sums, means and shares are shown, each over at least `min_group` rows; no real
value is an edge, an end of an axis or a summary, unless that many rows hold it.
"""
