"""What the exporter's image has written, on the model server's image without TensorFlow."""

import pytest

from tests.docker.stack import ENGLISH, SEVEN, classify, listing, ran
from tests.docker.test_images import HARDENED, MEGABYTE

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

REPLACED = {"TF_SERVING_REPLICAS": "0", "SERVING_OPENVINO_MEMORY": "512m"}


@pytest.fixture(scope="module")
def openvino(stack):
    """The stack with the profile, as docs/how-to/openvino.md says; as it was, afterwards."""
    stack.compose("rm", "--stop", "--force", "tf-serving")
    stack.compose("--profile", "openvino", "up", "-d", "--no-build", **REPLACED)
    stack.wait_healthy(stack.container("openvino"))
    stack.wait_healthy(stack.container("gateway"))
    yield stack.container("openvino")
    stack.compose("--profile", "openvino", "rm", "--stop", "--force", "openvino")
    stack.up()


@pytest.fixture(scope="module")
def digits():
    from exporter.digits import held_out  # noqa: PLC0415 - scikit-learn takes seconds to import

    return held_out()[:20]


def test_the_exporter_s_image_has_written_what_it_serves(stack, images):
    files = listing(
        stack.client,
        f"{stack.project}_models",
        "classifier/1/assets.extra/openvino",
        images["exporter"],
    )
    assert {"engine.json", "model.bin", "model.xml", "signatures.pb"} <= set(files)


def test_handwritten_digits_get_their_labels_from_it_alone(stack, openvino, digits):
    assert stack.containers("tf-serving") == []
    assert openvino in stack.containers("openvino")
    right = 0
    for digit in digits:
        answer = classify(stack.url(), digit.png)
        assert answer.status_code == 200, answer.text
        right += answer.json()["predictions"][0]["label"] == ENGLISH[digit.class_index]
    assert right >= 19


def test_it_stays_far_below_half_a_gigabyte(stack, openvino):
    assert classify(stack.url(), SEVEN).status_code == 200
    memory = openvino.stats(stream=False)["memory_stats"]
    assert memory["limit"] == 512 * 2**20
    used = memory["usage"] / MEGABYTE
    print(f"serving-openvino uses {used:.0f} MB")  # noqa: T201 - a number for the notes
    assert used < 400


def test_its_process_has_no_tensorflow(openvino):
    # Process 1 is Docker's init.
    script = "cat /proc/[0-9]*/maps | grep -o '[^/]*\\.so[.0-9]*$' | sort -u"
    libraries = openvino.exec_run(["sh", "-c", script]).output.decode().split()
    assert "libopenvino_intel_cpu_plugin.so" in libraries
    assert not [name for name in libraries if name.startswith(("libtensorflow", "_pywrap"))]


def test_the_engine_that_it_lacks_is_one_clear_line(engine, images):
    code, output = ran(engine, images["serving-openvino"], "--engine=tensorflow", **HARDENED)
    assert code != 0
    assert "Traceback" not in output
    assert "tensorflow" in output.strip().splitlines()[-1]
