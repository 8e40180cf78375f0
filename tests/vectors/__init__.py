"""A toy modality: `vectors`, records of some numbers, with or without classes."""

from storage.records.modalities import FormatEntry, Modality, Words

ROW = Modality(
    words=Words("vector", "vectors", "class"),
    builder="vectors.records:BUILDER",
    formats={"parquet": FormatEntry("vector-parquet", "vectors.records:FORMAT")},
    codec="vectors.codec:VectorCodec",
    networks="vectors.networks",
    presets="vectors.networks",
    judge="vectors.judge",
)
