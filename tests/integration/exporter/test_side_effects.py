"""The table of operations against TensorFlow's registry, and the walk through a graph."""

import re

import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from exporter.errors import FailedError
from exporter.side_effects.ops import side_effect
from exporter.side_effects.reach import Graph
from exporter.side_effects.saved_model import require_harmless_saved_model

# Named after paths, but they only compute.
HARMLESS = {"CTCBeamSearchDecoder"}
OUTSIDE = re.compile(
    r"filenames?|file_pattern|.*_file|.*path|.*_dir|directory|logdir|shard_dir|address|"
    r"server_address|debug_urls|data_source_name|db_uri"
)


def test_every_operation_that_takes_a_file_or_an_address_is_in_the_table():
    """So that TensorFlow's next version does not bring one past it."""
    unknown = []
    for name in dir(tf.raw_ops):
        definition = op_def_registry.get(name)
        if definition is None or name in HARMLESS:
            continue
        arguments = [each.name for each in (*definition.input_arg, *definition.attr)]
        if any(OUTSIDE.fullmatch(each) for each in arguments) and side_effect(name) is None:
            unknown.append(name)
    assert unknown == []


def graph_of(function, *specs):
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    return concrete.graph.as_graph_def()


def test_only_what_a_result_needs_counts_in_the_main_graph():
    with tf.Graph().as_default() as graph:
        needed = tf.identity(tf.constant(1.0), name="needed")
        tf.io.write_file("/nowhere", "x", name="unrelated")
        with tf.control_dependencies([tf.io.read_file("/nowhere")]):
            tf.identity(needed, name="after")
    walked = Graph(graph.as_graph_def())
    assert walked.types_for(["needed:0"]) == {"Const", "Identity"}
    assert "ReadFile" in walked.types_for(["after"])
    assert "WriteFile" in walked.types_for(["unrelated"])
    assert walked.types_for(["", "no such node"]) == set()


def test_branches_loops_and_calls_are_entered():
    inner = tf.function(lambda x: tf.strings.length(tf.io.read_file(x)), autograph=False)

    def outer(x):
        called = tf.cond(tf.equal(x, ""), lambda: 0, lambda: inner(x))
        return tf.while_loop(lambda i: i < called, lambda i: i + 1, [0])

    graph = graph_of(outer, tf.TensorSpec([], tf.string))
    types = Graph(graph).types_for(node.name for node in graph.node)
    assert {"ReadFile", "Less"} <= types


def test_a_damaged_graph_is_a_failure_in_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(FailedError, match=r"saved_model\.pb is damaged"):
        require_harmless_saved_model(tmp_path, None, ())


def test_another_signature_than_the_one_that_is_used_may_do_what_it_likes(tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.float32)
    compute = tf.function(lambda x: {"y": x + 1}, input_signature=[spec])

    @tf.function(input_signature=[spec])
    def write(x):
        tf.io.write_file("/nowhere", "x")
        return {"y": x}

    signatures = {"serving_default": compute, "dump": write}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    require_harmless_saved_model(tmp_path, None, ())
    with pytest.raises(Exception, match="WriteFile"):
        require_harmless_saved_model(tmp_path, "dump", ())
    require_harmless_saved_model(tmp_path, "dump", ("WriteFile",))
