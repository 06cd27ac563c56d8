"""CTGAN or TVAE at their defaults, for ``benchmarks/tables.py``; runs in an environment that has ``ctgan``.

python ctgan_tables.py {ctgan,tvae} TRAIN.parquet MADE.parquet TOLD.json SEED [EPOCHS]
"""

import json
import resource
import sys
import time

import numpy as np
import pandas as pd
import torch
from ctgan import CTGAN, TVAE

name, source, made, told, seed = sys.argv[1:6]
epochs = int(sys.argv[6]) if len(sys.argv) > 6 else 300
rows = pd.read_parquet(source)
discrete = [column for column in rows if rows[column].dtype.kind not in "iuf"]
# They take no missing values: for names a name of its own; there are none among the amounts of these tables.
holes = {column: rows[column].isna().any() for column in discrete}
filled = rows.copy()
for column in discrete:
    filled[column] = filled[column].astype(object).where(rows[column].notna(), "(missing)").astype(str)
np.random.seed(int(seed))
torch.manual_seed(int(seed))
began, cpu = time.perf_counter(), time.process_time()
model = {"ctgan": CTGAN, "tvae": TVAE}[name](epochs=epochs)
model.fit(filled, discrete)
fit, cpu = time.perf_counter() - began, time.process_time() - cpu
began = time.perf_counter()
out = model.sample(len(rows))
rate = len(rows) / (time.perf_counter() - began)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
for column in discrete:
    out[column] = out[column].where(out[column] != "(missing)") if holes[column] else out[column]
    if rows[column].dtype == bool:
        out[column] = out[column] == "True"
out.to_parquet(made)
with open(told, "w", encoding="utf-8") as handle:
    json.dump({"fit": fit, "cpu": cpu, "rate": rate, "peak": peak}, handle)
