"""Small real tables that come with the libraries: what `example:<name>` opens."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

import pyarrow as pa

from storage.digests import digest_json
from storage.sources.builder import Source, SourceDescription, scikit_learn_datasets
from storage.sources.tables.source import TableRead, TableSource


def load_breast_cancer() -> pa.Table:
    """Return scikit-learn's 569 tumours: 30 measures of the cells and the column `diagnosis`.

    Raises:
        SourceError: scikit-learn is not installed.
    """
    data = scikit_learn_datasets("breast-cancer").load_breast_cancer()
    columns = {
        name.replace(" ", "_"): pa.array(values)
        for name, values in zip(data.feature_names.tolist(), data.data.T.copy(), strict=True)
    }
    words = data.target_names.tolist()
    return pa.table({**columns, "diagnosis": pa.array([words[i] for i in data.target.tolist()])})


class ExampleTable(TableSource):
    """One of `TABLE_EXAMPLES`."""

    def __init__(self, uri: str, table: pa.Table) -> None:
        self.uri = uri
        self._table = table

    @cached_property
    def digest(self) -> str:
        """Digest of names, types and values."""
        return digest_json([str(self._table.schema), self._table.to_pydict()])

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the table."""
        return SourceDescription(
            kind="example",
            modality=self.modality,
            files=1,
            size_bytes=self._table.nbytes,
            ignored_files=self.ignored_files,
            rows=len(self._table),
            columns=tuple(self._table.column_names),
        )

    def schema(self) -> pa.Schema:
        """Return the table's."""
        return self._table.schema

    def read(self) -> TableRead:
        """Return the table."""
        return TableRead(table=self._table)

    def verify_unchanged(self) -> None:
        """Nothing can change a table that was loaded."""


TABLE_EXAMPLES: Final[Mapping[str, Callable[[str], Source]]] = {
    "example:breast-cancer": lambda uri: ExampleTable(uri, load_breast_cancer()),
}
