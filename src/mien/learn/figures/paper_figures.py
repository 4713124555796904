"""The papers' figures for every system: how a photo becomes the network's input, and the network itself.

Both are drawn from what runs: the detectors, the cut and the layers are those of the recipe, so that no figure can go
stale. Faces are the public-domain portraits in `examples/`; none of the data is shown.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from mien.arrays import Pixels
from mien.errors import UsageError
from mien.faces.align import CropContract, resize_chip
from mien.learn.comparison.claims import SYSTEMS
from mien.learn.data import samples
from mien.learn.figures import architecture, architecture_plot, preprocessing
from mien.learn.networks.answer_kinds import CLASS_YEARS, CLASSES, Network
from mien.learn.networks.arithmetic import multiply_adds
from mien.learn.networks.build import as_network, build
from mien.learn.recipe import Recipe, load_recipe, pipeline_names, recipe_names

FORMS = ("png", "svg", "pdf")
OWN = ("mien-m", "mien-s")

AGE_WORDS = {
    "distribution": "age: 117 probabilities",
    "years": "age: years",
    "classes": f"age: {CLASSES} classes\nof {CLASS_YEARS} years",
}
GENDER_WORDS = {"sigmoid": "gender:\nlog-odds of female", "softmax": "gender:\nmale or female"}


def write_figures(
    folder: Path,
    recipes: Sequence[str] | None = None,
    *,
    settings: Sequence[str] = (),
    photos: Sequence[Path] = (),
    form: str = "png",
    report: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Draw the preprocessing and the architecture of recipes, each way of preprocessing and each network once.

    Args:
        folder: takes the files; made if need be.
        recipes: names or YAML files; None for those of all systems.
        settings: "model.size=224"-like overrides for all of them.
        photos: of faces; the sample portraits if there are none.
        form: png, svg or pdf.
        report: told the path of each file.

    Returns:
        The files written.

    Raises:
        UsageError: an unknown form or recipe, or a photo without a face.
    """
    if form not in FORMS:
        raise UsageError.unknown("format", form, FORMS)
    plans = [load_recipe(name, list(settings)) for name in recipes or published()]
    pictures = [samples.sample_photo(path) for path in photos]
    pictures = pictures or [samples.sample_photo(sample=name) for name in (samples.ASTRONAUT, samples.HOPPER)]
    face = samples.sample_chip(pictures[0])
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    drawn: set[tuple[object, ...]] = set()
    for plan in plans:
        net = network(plan)
        shown = plan.about.system, plan.data.crop, plan.data.grey, plan.model.size
        for name, key in (("architecture", _network_key(plan)), ("preprocessing", shown)):
            if (name, *key) in drawn:
                continue
            drawn.add((name, *key))
            is_net = name == "architecture"
            figure = draw_architecture(plan, net, face) if is_net else preprocessing.draw(plan, net, pictures)
            written.append(folder / f"{name}-{plan.name}.{form}")
            _save(figure, written[-1])
            report(str(written[-1]))
    return written


def _save(figure: Figure, path: Path) -> None:
    """Write a figure; a png with a palette, which takes a third of the bytes that all colours would."""
    if path.suffix != ".png":
        figure.savefig(path, facecolor="white")
        return
    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=130, facecolor="white")
    with Image.open(whole) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)


def published() -> list[str]:
    """Recipes of the published systems in the order of their comparison, then our own models."""
    known = {*recipe_names(), *pipeline_names()}
    rows = [row.name for system in SYSTEMS if system.key != "mien" for row in system.rows]
    return [name for name in (*rows, *OWN) if name in known]


def network(plan: Recipe) -> nn.Module:
    """The network of a recipe with any weights: figures need none."""
    model = plan.model.model_copy(update={"init": None})
    if model.network == "hybrid":
        model = model.model_copy(update={"options": model.options | {"pretrained": False}})
    return build(model).eval()


def draw_architecture(plan: Recipe, net: nn.Module, face: Pixels | None = None) -> Figure:
    """The layers of a recipe's network."""
    size = plan.model.size
    layers = architecture.layers(net, size)
    weights, products = sum(p.numel() for p in net.parameters()), multiply_adds(net, size)
    about = (
        f"recipe {plan.name}: {weights / 1e6:.2f} million weights, {products / 1e6:,.0f} million multiply-adds a chip "
        f"of {size} pixels"
    )
    answers = _answers(layers, as_network(net))
    title = plan.about.title or plan.name
    shown = None if face is None else resize_chip(face, CropContract.utkface(size))
    return architecture_plot.draw(layers, size, answers, title=title, about=about, chip=shown)


def _answers(layers: Sequence[architecture.Layer], net: Network) -> dict[int, str]:
    """What the layers answer that feed no other."""
    words = {}
    fed = {source for layer in layers for source in layer.sources}
    for at, layer in enumerate(layers):
        if at not in fed:
            is_gender = net.age_kind is None or (net.gender_kind is not None and "gender" in layer.name)
            words[at] = GENDER_WORDS[net.gender_kind or ""] if is_gender else AGE_WORDS[net.age_kind or ""]
    return words


def _network_key(plan: Recipe) -> tuple[object, ...]:
    model = plan.model
    return model.network, model.size, repr(sorted(model.options.items()))
