"""Tensors and networks: codecs, losses, loop, sampling, metrics, gate.

No Prefect, no file system but a plain local folder.
"""
