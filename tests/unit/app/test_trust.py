"""What is believed of a model: an overload is no outage."""

from __future__ import annotations

import pytest

from app.classify.trust import Finding, Proof, Trust

SLOW = Proof(Finding.SLOW, detail="it does not answer in time")
REFUTED = Proof(Finding.REFUTED, detail="no version is available")


@pytest.fixture
def trusted():
    trust = Trust("m")
    trust.note(Proof(Finding.ANSWERED, 3), 100.0)
    return trust


@pytest.mark.parametrize("proof", [SLOW, REFUTED])
def test_a_model_that_never_answered_is_not_ready(proof):
    trust = Trust("m")
    assert not trust.readiness.is_ready
    trust.note(proof, 100.0)
    assert (trust.readiness.is_ready, trust.readiness.detail) == (False, proof.detail)


def test_a_model_that_answered_is_ready(trusted):
    assert (trusted.readiness.is_ready, trusted.readiness.version) == (True, 3)


def test_a_wrong_answer_counts_at_once(trusted):
    trusted.note(REFUTED, 100.1)
    assert trusted.readiness.detail == "no version is available"


def test_a_slow_model_is_believed_for_a_while(trusted):
    for second in range(1, 15):
        trusted.note(SLOW, 100.0 + second)
        assert trusted.readiness.is_ready
    trusted.note(SLOW, 115.0)
    assert trusted.readiness.detail == "it does not answer in time"


def test_a_pause_between_proofs_does_not_count_as_silence(trusted):
    trusted.note(SLOW, 300.0)
    trusted.note(SLOW, 301.0)
    assert trusted.readiness.is_ready


def test_one_answer_to_a_client_restores_the_belief(trusted):
    for second in range(1, 14):
        trusted.note(SLOW, 100.0 + second)
    trusted.answered(3, 113.5)
    for second in range(14, 28):
        trusted.note(SLOW, 100.0 + second)
        assert trusted.readiness.is_ready


def test_a_model_that_is_not_ready_has_to_answer_first(trusted):
    trusted.note(REFUTED, 101.0)
    trusted.note(SLOW, 102.0)
    assert not trusted.readiness.is_ready
    trusted.answered(4, 103.0)
    assert trusted.readiness.version == 4
