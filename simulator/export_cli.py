"""`dreamlane export`: write a model's graphs, so that a faster backend can run its steps."""

from __future__ import annotations

from typing import Annotated

import typer


def export(
    model: Annotated[
        str, typer.Option(help="Shipped model or checkpoint folder.", metavar="MODEL")
    ] = "town",
    batch: Annotated[int, typer.Option(help="Dreams stepped at once.", metavar="N")] = 1,
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 for TensorRT.", metavar="TYPE")
    ] = "float32",
    scales: Annotated[
        list[int] | None,
        typer.Option(help="Draw only so many as well; may be repeated.", metavar="K"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Even if they are there.")] = False,
) -> None:
    """Write a model's step as ONNX graphs, once for each batch size; `backend="auto"` then uses them."""
    from simulator.assets import model_folder
    from world_model.checkpoint import load
    from world_model.engine import load_engine
    from world_model.engine.export import ExportError, find_export
    from world_model.engine.export import export as write

    folder = model_folder(model)
    checkpoint = load(folder)
    wanted = set(scales or ())
    try:
        found = find_export(checkpoint, batch, None, precision)
        wanted |= found.steps.keys()
    except ExportError:
        found = None
    if again or found is None or not wanted <= found.steps.keys():
        print(f"Exporting {checkpoint.config.name} for batch {batch}: a minute or two.", flush=True)
        found = write(checkpoint, batch, None, precision, sorted(wanted))
    size = sum(path.stat().st_size for path in found.steps.values())
    print(f"{found.draw.parent} ({size / 1e6:.0f} MB)")
    engine = load_engine(folder, batch, backend="auto")
    print(f'backend="auto" now runs {engine.backend}: {engine.device}')
