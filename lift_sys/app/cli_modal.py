"""``lift modal``: vLLM on Modal, deployed, looked at and stopped."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(help="Serve models with vLLM on Modal.", no_args_is_help=True)

ModelId = Annotated[str, typer.Argument(help="Model id, such as qwen2.5-coder-7b.")]


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@app.command()
def deploy(
    model: ModelId,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Replace the key of all your Modal servers.")
    ] = False,
) -> None:
    """Deploy a model, start it once, and enter its URL in your models.toml."""
    from lift_sys.app import environment, modal_serving
    from lift_sys.inference.modal_app import KEY, configuration

    environment.prepare()
    done = modal_serving.deploy(model, new_key=new_key, tell=_tell)
    cold = done.cold_seconds
    started = "an earlier container was still up" if cold is None else f"cold start {cold:.0f} s"
    price = modal_serving.price_words(configuration(model))
    sys.stdout.write(f"{done.url}\n{started}; {price}\n")
    if done.file is not None:
        sys.stdout.write(f"entered in {done.file}; with {KEY} set, lift doctor asks it\n")
    else:
        file = environment.own_models_file()
        sys.stdout.write(f"write this into {file}, which is left as it is:\n\n{done.entry}")


@app.command()
def status() -> None:
    """Print each configuration: how it is, its price and its URL. Wakes nothing."""
    from lift_sys.app import environment, modal_serving

    environment.prepare()
    for serving, state, url in modal_serving.states():
        price = f"{serving.price.hour:.2f} USD/h"
        sys.stdout.write(
            f"{serving.model:<20} {serving.hardware:<10} {price:>12}  {state}  {url}".rstrip()
        )
        sys.stdout.write("\n")


@app.command()
def stop(model: ModelId) -> None:
    """End a model's app and its containers; its weights stay on the volume."""
    from lift_sys.app import environment, modal_serving

    environment.prepare()
    was = modal_serving.stop(model)
    sys.stdout.write(f"{model}: {'stopped' if was else 'was not deployed'}\n")
