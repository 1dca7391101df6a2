"""What every rendered manifest must fulfil: all checks of pods and of their wiring."""

from collections.abc import Callable

from tests.deploy import policy_pods as pods
from tests.deploy import policy_wiring as wiring
from tests.deploy.manifests import Object, Problems

CHECKS: tuple[Callable[[list[Object]], Problems], ...] = (
    pods.labels,
    pods.images,
    pods.resources,
    pods.restricted,
    pods.isolation,
    pods.probes,
    pods.drain,
    wiring.selectors,
    wiring.ports,
    wiring.references,
    wiring.scaling,
    wiring.network,
)


def problems(objects: list[Object]) -> list[str]:
    """Everything that any check finds."""
    return [sentence for check in CHECKS for sentence in check(objects)]
