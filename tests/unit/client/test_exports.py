"""`import sightserve` costs nothing until something of it is used."""

import subprocess
import sys

import pytest

import sightserve
from sightserve import client
from tests.support.processes import ROOT


def test_importing_the_package_imports_no_http_library():
    code = "import sys, sightserve; print('httpx' in sys.modules); sightserve.Client"
    code += "; print('httpx' in sys.modules, 'numpy' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "False", "False"]


@pytest.mark.parametrize("name", client.__all__)
def test_every_public_name_of_the_client_is_one_of_the_package(name):
    assert getattr(sightserve, name) is getattr(client, name)


@pytest.mark.parametrize("name", ["Nothing", "nothing"])
def test_another_name_is_none(name):
    with pytest.raises(AttributeError, match=name):
        getattr(sightserve, name)
