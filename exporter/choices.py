"""The words that options take. Apart from the code behind them, which needs TensorFlow."""

from __future__ import annotations

from typing import Literal

Preprocess = Literal["none", "tf", "torch", "caffe", "rescale"]
"""none: 0..255 as they are; tf: -1..1; torch: ImageNet mean and deviation; caffe: BGR less the
ImageNet mean; rescale: 0..1."""

Activation = Literal["none", "softmax", "sigmoid"]
"""What the graph adds behind the network."""

Freeze = Literal["auto", "always", "never"]
"""auto: to constants unless they are too large for a protobuf."""

# The same with "auto", for the command line: typer takes no unions.
PreprocessOption = Literal["auto", "none", "tf", "torch", "caffe", "rescale"]
ActivationOption = Literal["auto", "none", "softmax", "sigmoid"]
TaskOption = Literal["auto", "single_label", "multi_label"]
