"""The names of `storage.sources.table_config`, where the recipe's models of a table live."""

from storage.sources.table_config import FROZEN, ColumnConfig, ConstraintConfig, CsvConfig, Kind

__all__ = ["FROZEN", "ColumnConfig", "ConstraintConfig", "CsvConfig", "Kind"]
