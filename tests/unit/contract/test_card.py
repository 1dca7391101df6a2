from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from contract.card import ClassInfo, ModelCard, Source
from contract.pixels import ImageSpec


def card(**changes):
    values = {
        "model_name": "digits",
        "classes": tuple(ClassInfo(index=i, label=name) for i, name in enumerate(("no", "yes"))),
        "k": 2,
        "image": ImageSpec(height=32, width=32),
        "source": Source(kind="keras", name="digits.keras"),
        "exported_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return ModelCard(**(values | changes))


def test_a_card_survives_its_json():
    assert ModelCard.model_validate_json(card().model_dump_json()) == card()


def test_labels_come_in_order_of_class_index():
    assert card().labels == ("no", "yes")


def test_fields_of_a_newer_exporter_are_ignored():
    text = card().model_dump_json().removesuffix("}") + ', "mood": "sunny"}'
    assert ModelCard.model_validate_json(text) == card()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (ClassInfo(index=1, label="yes"),)}, "in order of index"),
        ({"k": 3}, "only 2 classes"),
        ({"schema_version": 2}, "schema_version"),
        ({"exported_at": datetime(2026, 1, 2)}, "timezone"),  # noqa: DTZ001 - the point
        ({"source": {"kind": "caffe", "name": "x"}}, "source.kind"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        card(**changes)
