"""Names of operations and what they do."""

import pytest

from exporter.side_effects.ops import side_effect


@pytest.mark.parametrize(
    ("op", "effect"),
    [
        ("WriteFile", "writes files"),
        ("SaveV2", "writes files"),
        ("MergeV2Checkpoints", "writes files"),
        ("WriteScalarSummary", "writes files"),
        ("ReadFile", "reads files"),
        ("RestoreV2", "reads files"),
        ("MatchingFiles", "reads files"),
        ("TFRecordDatasetV2", "reads files"),
        ("WholeFileReaderV2", "reads files"),
        ("PyFunc", "runs Python"),
        ("PyFuncStateless", "runs Python"),
        ("EagerPyFunc", "runs Python"),
        ("RpcCall", "talks to other machines"),
        ("_Send", "talks to other machines"),
        ("DataServiceDatasetV4", "talks to other machines"),
        ("PrintV2", "prints, to the log or to a file"),
        ("XlaCustomCallV2", "runs native code by name"),
    ],
)
def test_what_it_does(op, effect):
    assert side_effect(op) == effect


@pytest.mark.parametrize(
    "op",
    ["MatMul", "Conv2D", "ReadVariableOp", "DecodeJpeg", "Assert", "StatefulPartitionedCall",
     "HashTableV2", "XlaCallModule", "RandomUniform", "WriteFiles"],
)  # fmt: skip
def test_what_only_computes(op):
    assert side_effect(op) is None
