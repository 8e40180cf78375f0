"""Rules between the columns of a table: found on a sample, verified on all rows, stated."""
