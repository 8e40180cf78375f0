"""Features → statistics → metric: pure functions in float64, one file each.

Shapes: N reals, M fakes, P records of a pool, F features.
"""
