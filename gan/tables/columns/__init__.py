"""Columns of a table as vocabularies: which values a code may become, fitted on train only."""
