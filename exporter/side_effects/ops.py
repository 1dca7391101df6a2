"""The operations that do more than compute, by what they do. From TensorFlow 2.20's registry."""

from __future__ import annotations

import re
from typing import Final

RESTORING: Final = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
"""What the saver of a SavedModel reads its variables with."""

TABLES: Final = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
"""What the initialiser of a lookup table reads its vocabulary with."""

_KINDS: Final = {
    "writes files": r"""
        WriteFile Save(Slices|V2)? MergeV2Checkpoints DistributedSave CalibrationStatisticsSaver
        SaveDataset(V2)? (Experimental)?DatasetToTFRecord SnapshotDataset(V2)? CacheDataset(V2)?
        DumpTensor Create(SummaryFileWriter|SummaryDbWriter) SummaryWriter ImportEvent
        Write\w*Summary FlushSummaryWriter CloseSummaryWriter
        (Experimental)?StatsAggregatorSetSummaryWriter
    """,
    "reads files": r"""
        ReadFile Restore(Slice|V2)? DTensorRestoreV2 (Experimental)?MatchingFiles(Dataset)?
        LoadAndRemapMatrix GenerateVocabRemapping LoadDataset RecordInput Skipgram
        InitializeTableFromTextFile(V2)?
        (Fixed|Learned|ThreadUnsafe)UnigramCandidateSampler
        (WholeFile|TextLine|TFRecord|FixedLengthRecord|LMDB|Identity)Reader(V2)?
        Reader(Read|ReadUpTo)(V2)?
        (TextLine|TFRecord|FixedLengthRecord)Dataset(V2)? (Experimental)?CSVDataset(V2)?
        (Experimental)?(LMDB|Sql)Dataset ListSnapshotChunksDataset SnapshotChunkDataset
        Snapshot(Nested)?DatasetReader BigQueryReader GenerateBigQueryReaderPartitions
    """,
    "runs Python": r"(Eager)?PyFunc(Stateless)? GeneratorDataset",
    "runs native code by name": r"XlaCustomCall(V2)? FileSystemSetConfiguration",
    "talks to other machines": r"""
        Rpc\w* DataServiceDataset(V2|V3|V4)? RegisterDataset(V2)? RemoteCall
        _?(Host)?(Send|Recv) _XlaHostComputeMlir Xla(HostCompute|SendToHost|RecvFromHost)
        DebugIdentity(V2|V3)? DebugNanCount DebugNumericSummary
        BigtableClient \w*PubSub\w* KafkaDataset GcsConfigure\w*
    """,
    "prints, to the log or to a file": r"Print(V2)?",
}
_PATTERNS: Final = {kind: re.compile("|".join(text.split())) for kind, text in _KINDS.items()}


def side_effect(op_type: str) -> str | None:
    """What an operation does besides computing; None: nothing that we know of."""
    for kind, pattern in _PATTERNS.items():
        if pattern.fullmatch(op_type):
            return kind
    return None
