import shutil

import pytest

from tests.deploy import manifests


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """Every overlay, and base and production with every component: name → objects."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: the manifests cannot be rendered")
    overlays = {f"k8s/{path}": manifests.render(manifests.K8S / path) for path in manifests.PLAIN}
    components = {
        name: manifests.render_with((name,), tmp_path_factory.mktemp(name))
        for name in manifests.COMPONENTS
    }
    production = {
        f"production with {name}": manifests.render_with(
            (name,), tmp_path_factory.mktemp(name), "overlays/production"
        )
        for name in manifests.COMPONENTS
    }
    return overlays | components | production
