"""What loading and serving a SavedModel would run, read from `saved_model.pb` alone.

restore        the saver's op                        may read the variables
initialisers   init op, resources' own functions     may read vocabularies of tables
signature      what answers requests                 may do nothing of the kind
"""

# ruff: noqa: PLC0415 - TensorFlow is left to those who load

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from contract.signatures import SERVING_DEFAULT
from exporter.errors import FailedError
from exporter.side_effects.ops import RESTORING, TABLES
from exporter.side_effects.reach import Graph
from exporter.side_effects.refusal import require_no_side_effects

_INIT_SIGNATURE: Final = "__saved_model_init_op"
_TRAIN_SIGNATURE: Final = "__saved_model_train_op"
_INIT_COLLECTIONS: Final = ("saved_model_main_op", "legacy_init_op", "table_initializer")
_VARIABLES_COLLECTION: Final = "local_variables"
_RESOURCE_FUNCTIONS: Final = frozenset({"_create_resource", "_initialize", "_destroy_resource"})


def require_harmless_saved_model(
    folder: Path, signature: str | None, allowed: Collection[str]
) -> None:
    """Look before `tf.saved_model.load`, which runs initialisers.

    Args:
        folder: holds `saved_model.pb`.
        signature: its name; None: `serving_default`, or any where there is none.
        allowed: types of operations that are allowed all the same.

    Raises:
        RefusedError: loading or answering would do more than compute.
        FailedError: `saved_model.pb` cannot be read.
    """
    for meta_graph in _parse(folder).meta_graphs:
        graph = Graph(meta_graph.graph_def)
        objects = meta_graph.object_graph_def
        restored = graph.types_for([meta_graph.saver_def.restore_op_name])
        restored |= graph.types_in(_restore_functions(objects))
        started = graph.types_for(_init_nodes(meta_graph))
        started |= graph.types_in(_resource_functions(objects))
        asked = graph.types_for(_signature_nodes(meta_graph, signature))
        name = f"--saved-model {folder}"
        for types, pardoned, where in (
            (restored, RESTORING, "restoring its variables"),
            (started, TABLES, "its initialiser"),
            (asked, frozenset[str](), "its signature"),
        ):
            require_no_side_effects(types - pardoned, allowed, f"{name}: {where}")


def _parse(folder: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        return SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise FailedError(f"--saved-model {folder}: saved_model.pb is damaged ({error})") from error


def _init_nodes(meta_graph: Any) -> Iterator[str]:
    from tensorflow.core.framework.variable_pb2 import VariableDef

    if _INIT_SIGNATURE in meta_graph.signature_def:
        outputs = meta_graph.signature_def[_INIT_SIGNATURE].outputs
        yield from (output.name for output in outputs.values())
    collections = meta_graph.collection_def
    for key in _INIT_COLLECTIONS:
        if key in collections:
            yield from collections[key].node_list.value
    if _VARIABLES_COLLECTION in collections:
        for variable in collections[_VARIABLES_COLLECTION].bytes_list.value:
            yield VariableDef.FromString(variable).initializer_name


def _restore_functions(object_graph: Any) -> Iterator[str]:
    for node in object_graph.nodes:
        for saveable in node.saveable_objects.values():
            yield from _functions_of(object_graph.nodes[saveable.restore_function])


def _resource_functions(object_graph: Any) -> Iterator[str]:
    for node in object_graph.nodes:
        for child in node.children:
            if child.local_name in _RESOURCE_FUNCTIONS:
                yield from _functions_of(object_graph.nodes[child.node_id])


def _functions_of(node: Any) -> Iterator[str]:
    yield from node.function.concrete_functions
    if node.HasField("bare_concrete_function"):
        yield node.bare_concrete_function.concrete_function_name


def _signature_nodes(meta_graph: Any, wanted: str | None) -> Iterator[str]:
    available = set(meta_graph.signature_def) - {_INIT_SIGNATURE, _TRAIN_SIGNATURE}
    obvious = wanted or SERVING_DEFAULT
    for name in {obvious} if obvious in available else available:
        yield from (output.name for output in meta_graph.signature_def[name].outputs.values())
