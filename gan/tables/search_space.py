"""What tuning tries for tables; names are those that the table of presets has at run time."""

from gan.tables.presets import PRESETS
from gan.tuning.knobs import Knob
from gan.tuning.numbers import layered

KNOBS: tuple[Knob, ...] = layered(PRESETS)
