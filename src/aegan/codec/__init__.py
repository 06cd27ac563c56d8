"""Compressed codes: rounded to a grid, entropy-coded, in a file that checks itself. Knows NumPy, not torch."""

from aegan.codec.entropy import decode_columns, encode_columns
from aegan.codec.format import SUFFIX, CodesFile, Written, read_codes, write_codes
from aegan.codec.quantise import Grid, check_error, fit_grid, sensitivity

__all__ = [
    "SUFFIX",
    "CodesFile",
    "Grid",
    "Written",
    "check_error",
    "decode_columns",
    "encode_columns",
    "fit_grid",
    "read_codes",
    "sensitivity",
    "write_codes",
]
