"""A mixture model out of its .onnx file, as the torch model it was: for densities, which the graph does not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from motion.manifest import METADATA_KEY, Manifest
from training.models import drmm, drmm_motion
from training.models.drmm import Drmm
from training.models.drmm_motion import MotionDrmm


def read(path: Path) -> Drmm:
    """The model of a sampler's file, in evaluation mode. Raises ValueError when the file is none."""
    proto = onnx.load(path)
    labels = [entry.value for entry in proto.metadata_props if entry.key == METADATA_KEY]
    tables = {
        each.name: torch.from_numpy(np.array(numpy_helper.to_array(each)))
        for each in proto.graph.initializer
        if not each.name.startswith("onnx::")
    }
    if not labels or "means" not in tables or (label := Manifest.from_json(labels[0])).kind != "sampler":
        raise ValueError(f"{path.name} is no sampler that `python -m exporters.onnx` wrote")
    vectors = {name: torch.tensor(values) for name, values in label.vectors.items()}
    layers, components, _ = tables["means"].shape
    common = {"variables": label.variables, "layers": layers, "components": components, "variance": "diagonal"}
    model: Drmm
    if "motion" in vectors:
        unit, freedom = vectors["motion"].tolist()
        model = MotionDrmm(drmm_motion.Model(**common, past_scale=unit, freedom=freedom), label.skeleton)
        past = model.past
        values = {"mean": tables["mean"] if "mean" in tables else vectors["centre"], "factor": model.factor.clone()}
        values["factor"][:past, :past] = tables["whiten"].double().inverse().T.float()
        values["factor"][past:, :past] = tables["regress"].T
        values["factor"][past:, past:] = tables["factor"]
        values["log_variance"] = torch.stack([vectors[f"log_variance_{layer}"] for layer in range(layers)])
    else:
        model = Drmm(drmm.Config(**common), label.skeleton)
        values = {name: vectors[name] for name in ("centre", "scale")}
        variances = torch.stack([vectors[f"variance_{layer}"] for layer in range(layers)])
        values["log_variance"] = (variances.double() / values["scale"].double().square()).log().float()
    values["means"] = tables["means"]
    values["logits"] = torch.stack([vectors[f"log_weights_{layer}"] for layer in range(layers)])
    links = [tables[f"links_{layer}"].unflatten(0, (layer, components)) for layer in range(1, layers)]
    values["prototypes"] = torch.cat(links) if links else model.prototypes.detach()
    model.load_state_dict(values, strict=False)
    return model.eval()
