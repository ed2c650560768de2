"""``trainwright models export``: a model as an ONNX file that says what the model says."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.bundles import bundle_of
from daemon.cli.completing import models
from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say
from daemon.cli.workspace import json_option, results_option
from daemon.verification import trained_on
from executors.bundle import load_bundle
from executors.exporting.export import export_onnx


@click.command(epilog="Example: trainwright models export cs_y_range_5d/LightGBM --onnx lightgbm.onnx")
@click.argument("name", shell_complete=models)
@click.option(
    "--onnx", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The model's data; default the plan's prepared panel."
)
@results_option
@json_option
def export(*, name: str, file: Path, data_dir: Path | None, as_json: bool, **options: Path | None) -> None:
    """Write a model as ONNX: raw features in, what `models predict` says out.

    Preprocessing is inside: the input `features` is float32, NaN for what is missing, (rows, features) or, of
    families that look back, (rows, window, features) with the oldest bar first. Recorded test rows are
    predicted with onnxruntime before the file appears; where they differ nothing is written, exit code 3.
    """
    bundle, settings = load_bundle(bundle_of(name, options)), settings_for(**options, data_dir=data_dir)
    found = export_onnx(bundle, trained_on(settings, bundle, from_data=data_dir is not None), file)
    if as_json:
        emit(
            {
                "file": file,
                "sha256": found.sha256,
                "rows": found.rows,
                "input": list(found.shape),
                "tolerance": found.tolerance,
                "largest_difference": found.largest,
            }
        )
        return
    shape = ", ".join(str(part) for part in found.shape)
    say(f"{file}: features ({shape}) float32 -> {', '.join(found.outputs)}")
    say(
        f"  {found.rows:,} recorded predictions agree within {found.tolerance:.1e}, "
        f"the largest difference is {found.largest:.1e}"
    )
