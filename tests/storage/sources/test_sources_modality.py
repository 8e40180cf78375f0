"""Which modality a source is, and what is said where it is none."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.records.modalities import MODALITIES, words_of
from storage.sources.config import SourceConfig
from storage.sources.open import open_source


def test_a_modality_may_refuse_the_files_that_it_can_read(with_vectors, tmp_path):
    pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / "x.parquet")
    config = SourceConfig(uri=str(tmp_path), label=None)
    assert open_source(config).modality == "tables"
    with pytest.raises(SourceError, match=r"The Parquet files of the source .* hold no vectors;"):
        open_source(config.model_copy(update={"modality": "vectors"}))


def test_the_form_offers_the_rows_of_the_table():
    offered = SourceConfig.model_json_schema()["properties"]["modality"]["enum"]
    assert offered == ["auto", *MODALITIES]


def test_words_for_what_another_version_wrote():
    assert words_of("smells") == ("record", "records", "part")
    assert words_of("tables").records == "rows"
