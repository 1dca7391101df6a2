"""`models.config`: what the model server is told to serve, read and changed for one model.

The file belongs to its operator. A change touches the model's policy and labels and leaves
comments, order, other models and fields that we do not know as they are; where the text is written
in a way that cannot be changed in place, it is written anew below its first comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from google.protobuf import text_format

from exporter.errors import FailedError, UsageError
from exporter.release import config_text
from exporter.release.config_text import Change, Field, UnknownShapeError
from protocol.messages import config_pb2

PolicyKind = Literal["latest", "all", "specific"]

_POLICY: Final = "model_version_policy"
_LABELS: Final = "version_labels"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which versions on disk are served: the newest few, all, or these."""

    kind: PolicyKind = "latest"
    num_versions: int = 1
    versions: frozenset[int] = frozenset()

    @classmethod
    def specific(cls, versions: frozenset[int]) -> Policy:
        """Exactly these."""
        return cls("specific", versions=versions)

    def __str__(self) -> str:
        if self.kind == "specific":
            inner = " ".join(f"versions: {number}" for number in sorted(self.versions))
            return f"specific {{ {inner} }}"
        return "all {}" if self.kind == "all" else f"latest {{ num_versions: {self.num_versions} }}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model in the file."""

    policy: Policy = Policy()
    labels: Mapping[str, int] = field(default_factory=dict)
    base_path: str = ""
    """Where the model server finds the versions; often a path in a container."""


def find(text: str, name: str) -> Entry | None:
    """What the text says about a model; None: nothing.

    Raises:
        FailedError: the text is no ModelServerConfig.
    """
    for model in _parse(text).model_config_list.config:
        if model.name == name:
            return Entry(_policy(model), dict(model.version_labels), model.base_path)
    return None


def change(text: str, name: str, entry: Entry) -> str:
    """The text with the entry's policy and labels for a model that is in it.

    Raises:
        FailedError: the text is no ModelServerConfig.
        UsageError: it cannot be changed without losing what we do not know.
    """
    expected = _parse(text)
    model = next(each for each in expected.model_config_list.config if each.name == name)
    position = list(expected.model_config_list.config).index(model)
    _set(model, entry)
    try:
        changed = _edit(text, position, entry)
        if _parse(changed) == expected:
            return changed
    except (UnknownShapeError, FailedError):
        pass
    if not _is_known(text):
        raise UsageError(
            "the file has fields that are not known here, in a form that cannot be changed; write "
            "the model's entry as name { ... } without [ ]"
        )
    return _header(text) + text_format.MessageToString(expected)


def _parse(text: str) -> config_pb2.ModelServerConfig:
    try:
        return text_format.Parse(text, config_pb2.ModelServerConfig(), allow_unknown_field=True)
    except text_format.ParseError as error:
        raise FailedError(f"the file is no ModelServerConfig ({error})") from error


def _is_known(text: str) -> bool:
    try:
        text_format.Parse(text, config_pb2.ModelServerConfig())
    except text_format.ParseError:
        return False
    return True


def _policy(model: config_pb2.ModelConfig) -> Policy:
    policy = model.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return Policy("all")
        case "specific":
            return Policy.specific(frozenset(policy.specific.versions))
        case _:
            return Policy(num_versions=max(1, policy.latest.num_versions))


def _set(model: config_pb2.ModelConfig, entry: Entry) -> None:
    if _policy(model) != entry.policy:
        model.ClearField(_POLICY)
        text_format.Parse(str(entry.policy), model.model_version_policy)
    model.ClearField(_LABELS)
    model.version_labels.update(entry.labels)


def _edit(text: str, position: int, entry: Entry) -> str:
    models = [
        model
        for group in config_text.read(text)
        if group.name == "model_config_list"
        for model in group.fields
        if model.name == "config"
    ]
    if position >= len(models):
        raise UnknownShapeError("the models are not written one by one")
    model = models[position]
    if model.inside is None:
        raise UnknownShapeError("a model without braces")
    changes, lines = _label_changes(text, model, entry.labels)
    old = [each for each in model.fields if each.name == _POLICY]
    if len(old) > 1:
        raise UnknownShapeError("several policies")
    if not old or _policy_of(text, old[0]) != entry.policy:
        written = f"{_POLICY} {{ {entry.policy} }}"
        if old:
            changes.append(Change(old[0].start, old[0].end, written))
        else:
            lines.insert(0, written)
    if lines:
        anchor = _anchor(model)
        changes.append(config_text.insertion(text, anchor, model.inside[1], lines))
    return config_text.apply(text, changes)


def _policy_of(text: str, policy: Field) -> Policy:
    model = config_pb2.ModelConfig()
    text_format.Parse(text[policy.start : policy.end], model, allow_unknown_field=True)
    return _policy(model)


def _anchor(model: Field) -> Field:
    """The field below which labels and policy belong."""
    for name in (_LABELS, _POLICY):
        if found := [each for each in model.fields if each.name == name]:
            return found[-1]
    if not model.fields:
        raise UnknownShapeError("an empty model")
    return model.fields[-1]


def _label_changes(
    text: str, model: Field, wanted: Mapping[str, int]
) -> tuple[list[Change], list[str]]:
    """Changes of the labels that are there, and lines for those that are not."""
    changes: list[Change] = []
    seen: set[str] = set()
    for each in model.fields:
        if each.name != _LABELS:
            continue
        one = config_pb2.ModelConfig()
        text_format.Parse(text[each.start : each.end], one, allow_unknown_field=True)
        ((label, version),) = one.version_labels.items()
        seen.add(label)
        if label not in wanted:
            changes.append(config_text.removal(text, each))
        elif version != wanted[label]:
            values = [part for part in each.fields if part.name == "value"]
            if len(values) != 1:
                raise UnknownShapeError("a label without a value")
            number = f"value: {wanted[label]}"
            changes.append(Change(values[0].start, values[0].end, number))
    missing = [label for label in wanted if label not in seen]
    return changes, [f"{_LABELS} {{ key: '{label}' value: {wanted[label]} }}" for label in missing]


def _header(text: str) -> str:
    """The comment that a file begins with."""
    lines = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
    return "".join(lines)
