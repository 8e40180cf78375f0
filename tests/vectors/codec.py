"""Records ↔ float32 (N, size)."""

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.codecs import Encoded
from gan.errors import DataError, SnapshotError


@dataclass(frozen=True, kw_only=True)
class VectorCodec:
    size: int
    label: str | None = None
    classes: tuple[str, ...] = ()
    modality, notes = "vectors", ()

    @classmethod
    def fit(cls, records, label):
        if records.num_rows == 0 or label not in (None, *records.column_names):
            msg = f"{records.num_rows} vectors with the label {label!r}: bring both"
            raise DataError(msg)
        classes = () if label is None else tuple(sorted(set(records[label].to_pylist())))
        return cls(size=records["vector"].type.list_size, label=label, classes=classes)

    def encode(self, records):
        values = pc.list_flatten(records["vector"]).to_numpy().reshape(-1, self.size)
        if self.label is None:
            return Encoded(values, np.zeros(len(values), dtype=np.int64))
        found = pc.index_in(records[self.label], value_set=pa.array(self.classes))
        return Encoded(values, found.to_numpy().astype(np.int64))

    def to_samples(self, values):
        return values.float()

    def to_values(self, samples):
        return samples.float().cpu().numpy()

    def decode(self, values, labels_N):
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), self.size)
        label = {} if self.label is None else {self.label: pa.array(self.classes).take(labels_N)}
        return pa.table({"vector": vectors, **label})

    def to_json(self):
        return {"modality": self.modality, **asdict(self)}

    @classmethod
    def from_json(cls, data):
        fields = {**data}
        if fields.pop("modality", None) != cls.modality or "classes" not in fields:
            msg = f"this is no codec of vectors: {data}"
            raise SnapshotError(msg)
        return cls(**{**fields, "classes": tuple(fields["classes"])})
