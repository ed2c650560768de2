# ruff: noqa: B018, D100 (a cell shows its last line; the first one says what this is)

# %% [markdown]
# # What Trainwright knows, from Python
#
# Run it where plans were trained: after `trainwright demo`, in its folder, as a script or cell by cell.
# Everything here asks the same event log that the commands, the page and the report ask.

# %%
from pathlib import Path

import pandas as pd

import trainwright as tw

store = tw.open_store("results")
store

# %% [markdown]
# ## What was planned
#
# Every target that was ranked, kept or left out, with the reason in numbers.

# %%
targets = store.targets()
targets

# %%
plan = store.plan()
print(plan)

# %% [markdown]
# ## What came of it
#
# The filter is the one of the page and of `trainwright jobs --where`.

# %%
fits = store.fits("state:succeeded", plan=plan.id)
table = fits.to_pandas()
print(table[["fit", "metric", "score", "baseline_score"]].head())

# %%
best = max(fits, key=lambda fit: fit.metrics["skill"])
best

# %% [markdown]
# ## How it was trained

# %%
curve = best.curve()
print(curve)
print(curve.to_pandas().tail(3))
Path("curve.svg").write_text(curve.svg(), encoding="utf-8")
best.attempts()

# %% [markdown]
# ## The model
#
# It predicts any DataFrame that has a time, a symbol and its features: the same bits as in training.

# %%
model = best.model()
print(model)
print(model.importances[:5])

# %%
data = Path(plan.row.data["data_dir"])
files = sorted([*data.rglob("*.parquet"), *data.rglob("*.csv")])
read = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
names = [path.parent.name.partition("=")[2] or path.stem for path in files]  # symbol=AAPL/... or AAPL.csv
bars = pd.concat(
    [read[path.suffix](path).tail(250).assign(symbol=name) for path, name in zip(files, names, strict=True)],
    ignore_index=True,
)
told = model.predict(bars)
print(bars[["symbol"]].join(told).groupby("symbol").tail(1))

# %% [markdown]
# ## Why, and what if not
#
# `why` answers for targets, jobs and fits. A word may be looked at before it is said.

# %%
print(store.why(best.target))
print(store.cancel(where="state:ready", dry_run=True))

# %% [markdown]
# ## Another plan
#
# A plan is a document. Where a daemon works `store.submit(document, wait=True)` hands it over and waits; this
# trains it here.

# %%
job = next(job for job in plan.document()["jobs"] if job["job_id"] == best.row.job_id)
small = {
    "metadata": {"data": dict(plan.row.data), "training": {"params": {"LightGBM": {"rounds": 20}}}},
    "jobs": [{**job, "model_families": ["LightGBM"]}],
}
done = store.train(small)
print(done.progress)
done.fits()
