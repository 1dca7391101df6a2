"""The digits end to end: trained, exported in every precision, and every held-out digit asked."""

import numpy as np
import pytest

from contract import signatures as names
from exporter import digits, digits_network
from exporter.errors import RefusedError
from exporter.export import export
from exporter.measure.machine import has_bfloat16
from exporter.openvino import quantization
from exporter.options import AccuracyOptions, ExportOptions
from exporter.preprocessing import NONE
from exporter.settings import Settings
from exporter.store import inventory
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec
from tests.support.faulty_models import network_from
from tests.support.model_server import running_model_server, wait_until_available
from tests.support.variants import Notes

pytest.importorskip("openvino")
pytest.importorskip("nncf")
pytestmark = pytest.mark.slow

_NO_BF16 = pytest.mark.skipif(not has_bfloat16(), reason="this CPU does not multiply bfloat16")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folders: of what it is trained and calibrated with, and of what was held out."""
    folder = tmp_path_factory.mktemp("digits")
    data = digits.load()
    for part in ("training", "held_out"):
        digits.write_files(getattr(data, part), folder / part)
    return folder


@pytest.fixture(scope="module")
def model():
    return digits_network.train(digits.load(), lambda _: None)


def publish(model, base_path, **given):
    options = ExportOptions(
        name="digits",
        base_path=base_path,
        labels=",".join(digits.LABELS),
        preprocess=NONE,
        precision="int8",
        openvino="auto",
        **given,
    )
    return export(lambda _: network_from(model), options, Settings(max_batch_size=2), Notes())


@pytest.fixture(scope="module")
def published(model, files, tmp_path_factory):
    return publish(
        model,
        tmp_path_factory.mktemp("models"),
        calibration_dir=files / "training",
        accuracy=AccuracyOptions(pictures=files / "held_out", min_accuracy=0.97),
    )


def proof_of(published, precision):
    return next(each for each in published.card.engines if each.precision == precision)


@pytest.mark.parametrize(
    ("precision", "agreeing"),
    [("f32", 1.0), pytest.param("bf16", 0.995, marks=_NO_BF16), ("int8", 0.995)],
)
def test_every_held_out_digit_is_called_as_keras_calls_it(
    published, model, tmp_path, precision, agreeing
):
    proof = proof_of(published, precision)
    assert (proof.evaluation_n, proof.evaluation_agreement >= agreeing) == (360, True)
    pixels, _ = digits.to_arrays(digits.held_out())
    expected = model.predict(pixels.astype(np.float32), verbose=0).argmax(axis=1)
    with running_model_server(
        tmp_path,
        "--model_name=digits",
        f"--model_base_path={published.path.parent}",
        "--engine=openvino",
        f"--openvino_precision={precision}",
        "--openvino_cache_dir=none",
    ) as server:
        wait_until_available(server, "digits")
        with BlockingClient(server.url("grpc"), timeout_seconds=60) as client:
            spec = ModelSpec("digits", signature_name=names.TOP_K)
            found = [
                client.predict(spec, names.IMAGES, part).outputs[names.CLASS_INDICES][:, 0]
                for part in np.split(pixels, 12)
            ]
    assert (np.concatenate(found) == expected).mean() >= agreeing


def test_int8_is_smaller_and_told_by_the_card(published):
    folder = published.path / "assets.extra" / "openvino"
    assert (folder / "int8.bin").stat().st_size < 0.3 * (folder / "model.bin").stat().st_size
    assert proof_of(published, "int8").evaluation_top_1 >= 0.97
    assert inventory.read_card(published.path) == published.card


def test_ranges_that_nobody_meets_are_refused_with_figures(model, files, tmp_path, monkeypatch):
    """As if the calibration's pictures had been black."""
    right = quantization.quantise

    def of_black(version_path, images, **given):
        right(version_path, np.zeros_like(images), **given)

    def here(_module, _function, arguments, **named):
        return making.make(arguments["job"], named["report"])

    from exporter.openvino import making, stage  # noqa: PLC0415 - beside what it plants

    monkeypatch.setattr(stage, "run_apart", here)
    monkeypatch.setattr(making.quantization, "quantise", of_black)
    with pytest.raises(RefusedError, match=r"OpenVINO in int8 .*(wanted|allowed)"):
        publish(model, tmp_path, calibration_dir=files / "training")
    assert not list(tmp_path.iterdir())
