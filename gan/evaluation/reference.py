"""The real side of an evaluation, whatever the modality.

Built once a night; every candidate and the champion are measured against the same one, so their
numbers are paired.
"""

from gan.modalities import Options, Reference, Splits, load_judge

__all__ = ["Options", "Reference", "Splits", "build_reference"]


def build_reference(splits: Splits, options: Options) -> Reference:
    """Measure what real data reaches.

    Raises:
        DataError: validation or holdout is too small to compare anything, or does not fit train.
        ConfigError: there is no such modality.
    """
    return load_judge(options.modality).build_reference(splits, options)
