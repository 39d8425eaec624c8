"""A generator as a file for other programs: safetensors, torch.export or ONNX."""

import importlib.util
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.errors import ConfigError
from gan_lab.runs.run_dir import atomic_write

DESCRIPTION = "gan_lab"  # the key of the description, a JSON object, in each format's metadata


def _safetensors(module: nn.Module, z: Tensor, text: str) -> bytes:
    from safetensors.torch import save

    leaves = {name: leaf.contiguous() for name, leaf in module.state_dict().items()}
    return save(leaves, {"format": "pt", DESCRIPTION: text})


def _export(module: nn.Module, z: Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(module, (z,), dynamic_shapes=({0: torch.export.Dim("n")},))


def _torch_export(module: nn.Module, z: Tensor, text: str) -> bytes:
    content = io.BytesIO()
    torch.export.save(_export(module, z), content, extra_files={f"{DESCRIPTION}.json": text})
    return content.getvalue()


def _onnx(module: nn.Module, z: Tensor, text: str) -> bytes:
    names: dict[str, Any] = {"input_names": ["z"], "output_names": ["samples"]}
    # Of a module that torch.export refuses, torch.onnx would make one for this batch size alone.
    program = torch.onnx.export(_export(module, z), (z,), dynamo=True, verbose=False, **names)
    assert program is not None
    program.model.metadata_props[DESCRIPTION] = text
    content: bytes = program.model_proto.SerializeToString()
    return content


# Format -> suffix of its files, what writes it, and the packages that it needs.
_FORMATS: dict[str, tuple[str, Callable[[nn.Module, Tensor, str], bytes], tuple[str, ...]]] = {
    "safetensors": (".safetensors", _safetensors, ("safetensors",)),
    "torch_export": (".pt2", _torch_export, ()),
    "onnx": (".onnx", _onnx, ("onnx", "onnxscript")),
}
SUFFIXES = {name: suffix for name, (suffix, _, _) in _FORMATS.items()}


def check_format(name: str) -> None:
    """Refuse a format whose packages are not installed."""
    missing = [each for each in _FORMATS[name][2] if importlib.util.find_spec(each) is None]
    if missing:
        raise ConfigError(
            f"format={name} needs {' and '.join(missing)}, not installed here: "
            "pip install -e '.[export]' in the source tree"
        )


def export_generator(
    module: nn.Module, latent_dim: int, description: Mapping[str, Any], name: str, path: Path
) -> None:
    """Write a generator to a file, whole or not at all; one that is there is replaced.

    Args:
        module: z [N, latent_dim] -> samples [N, *shape], on the CPU and in evaluation mode.
        latent_dim: Dimensions of z.
        description: Kept as a JSON object in the file's metadata, under the key "gan_lab".
        name: safetensors (the state_dict alone), torch_export or onnx (the program, for any N).
        path: Of the file.

    Raises:
        ConfigError: A package is missing, a weight is not finite, or torch cannot export it.
    """
    check_format(name)
    if not all(bool(leaf.isfinite().all()) for leaf in module.state_dict().values()):
        raise ConfigError("the generator has a weight that is not finite; choose another step=")
    z = torch.zeros(2, latent_dim)  # two: torch.export takes a size of one for a constant
    try:
        content = _FORMATS[name][1](module, z, json.dumps(description))
    except Exception as error:  # of torch.export and torch.onnx, of many types
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"the generator has no form as {name}: {reason} Change its forward (x.shape[0] for "
            "len(x), no Python branch on values), or take format=safetensors"
        ) from error
    atomic_write(path, content)
