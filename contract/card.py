"""The model card: what a version says about itself, inside its own graph.

The exporter writes it, the gateway reads it through the model server (signature `model_card`), so
both sides need no shared volume. `schema_version` grows only when a reader of the old schema would
misread the new one; unknown fields are ignored so that older gateways keep reading newer cards.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contract.image_spec import ImageSpec

Task = Literal["single_label", "multi_label"]
"""`single_label`: softmax, probabilities sum to 1. `multi_label`: one sigmoid per class."""

SourceKind = Literal["application", "keras", "saved_model", "onnx", "torch"]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ClassInfo(_Part):
    """One class: its index in the scores, its label, and an outside id such as a WordNet id."""

    index: int = Field(ge=0)
    label: str = Field(min_length=1)
    id: str | None = None


class Source(_Part):
    """Where the model came from."""

    kind: SourceKind
    name: str
    """The application's name, or the file's or folder's name without its path."""
    weights: str | None = None
    """`imagenet`, `none`, or the weights file's name."""
    weights_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class Evaluation(_Part):
    """Accuracy on labelled images that the model was not trained on."""

    dataset: str
    n: int = Field(ge=1)
    top_1: Fraction
    top_5: Fraction
    ece: Fraction | None = None
    """Expected calibration error over 15 bins of the best probability."""


class Parity(_Part):
    """The exported version against its source, on the same golden images."""

    n: int = Field(ge=1)
    max_abs_difference: float = Field(ge=0.0)
    """Largest difference of any probability, `pixels.decode` pixels in both; of the graph before
    its variables become constants, which the model server is then held to within the same bound."""
    bound: float = Field(gt=0.0)
    top_1_agreement: Fraction
    encoded_max_abs_difference: float | None = Field(default=None, ge=0.0)
    """The same for `top_k_encoded`, which decodes and resizes in the graph."""
    encoded_top_1_agreement: Fraction | None = None
    encoded_bound: float | None = Field(default=None, gt=0.0)
    """What `top_k_encoded` was held to; None: to nothing, as in older versions."""


class TfLite(_Part):
    """`model.tflite` beside the version: the same classifier for TensorFlow Lite."""

    kind: str
    """How it is quantised: none, dynamic, float16, int8."""
    size_bytes: int = Field(ge=1)
    max_abs_difference: float = Field(ge=0.0)
    """Largest difference of any probability from the source's, on the golden images."""
    bound: float = Field(gt=0.0)
    top_1_agreement: Fraction


class EngineProof(_Part):
    """One precision of a second engine, held against the source before the version was published.

    A version is offered to an engine only in the precisions that are listed.
    """

    engine: Literal["openvino"]
    precision: Literal["f32", "bf16", "int8"]
    n: int = Field(ge=1)
    """Golden images."""
    max_abs_difference: float = Field(ge=0.0)
    """Largest difference of any probability from the source's, on them."""
    bound: float = Field(gt=0.0)
    top_1_agreement: Fraction
    """Golden images with the source's first class; two classes closer than the bound are a tie."""
    evaluation_n: int | None = Field(default=None, ge=1)
    """Other images, where there were any: labelled ones, or those held out of the calibration."""
    evaluation_agreement: Fraction | None = None
    """Those with the same first class as TensorFlow's graph or, without labels, as f32; ties are
    none here."""
    evaluation_top_1: Fraction | None = None
    """Labelled ones that it is right about."""


class ModelCard(_Part):
    """One version of one model, described by itself."""

    schema_version: Literal[1] = 1
    model_name: str = Field(min_length=1)
    """The name under which it was published."""
    task: Task = "single_label"
    """Whether probabilities sum to 1, or each class stands for itself."""
    classes: tuple[ClassInfo, ...] = Field(min_length=1)
    """In order of index."""
    k: int = Field(ge=1)
    """How many classes `top_k` answers."""
    image: ImageSpec
    """What becomes of a photo before the network sees it."""
    preprocess: str = "none"
    """What the graph does to uint8 pixels before the network: none, tf, torch, caffe, rescale, or
    figures such as `mean=127,scale=128`."""
    is_grey: bool = False
    """The network takes grey pictures; the graph makes them of RGB."""
    precision: str = "float32"
    """The coarsest type that the source computes in."""
    is_frozen: bool = True
    """The weights are constants of the graph."""
    is_compiled: bool = False
    """XLA compiles the graph on the model server, once per batch size."""
    tflite: TfLite | None = None
    """`model.tflite` beside the version, if there is one."""
    engines: tuple[EngineProof, ...] = ()
    """What other engines than TensorFlow were proven to answer, by precision."""
    source: Source
    frameworks: dict[str, str] = Field(default_factory=dict)
    """Versions by name, for example {"tensorflow": "2.20.0", "keras": "3.15.1"}."""
    evaluation: Evaluation | None = None
    """On labelled images, if there were any at export."""
    parity: Parity | None = None
    """How close the version is to its source."""
    exported_at: AwareDatetime
    """When, in UTC."""

    @model_validator(mode="after")
    def _classes_are_numbered_and_cover_k(self) -> Self:
        if [each.index for each in self.classes] != list(range(len(self.classes))):
            raise ValueError("classes must be listed in order of index, from 0 without a gap")
        if self.k > len(self.classes):
            raise ValueError(f"k is {self.k} but there are only {len(self.classes)} classes")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in order of class index."""
        return tuple(each.label for each in self.classes)
