"""Sources of rows: CSV and Parquet tables, what their columns mean, how they are split."""
