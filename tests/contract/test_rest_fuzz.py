"""Mutated REST bodies: whatever comes in, a documented status goes out and the server lives on.

FUZZ_EXAMPLES=20000 pytest tests/contract/test_rest_fuzz.py     the long run
"""

import http.client
import json
import os
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
DEADLINE_SECONDS = 30
MAX_GROWTH_BYTES = 300 * 2**20

pytestmark = pytest.mark.timeout(max(300, EXAMPLES // 5))

# UNIMPLEMENTED: a tensor type that JSON cannot carry. Never a 500.
DOCUMENTED = {200, 400, 404, 501}

PATHS = [
    "m:predict",
    "mv/versions/1:predict",
    "mv/labels/canary:predict",
    "t:predict",
    "t:classify",
    "c:predict",
    "c:classify",
    "c:regress",
    "nope:predict",
]
SIGNATURES = [
    *("", "serving_default", "raw", "double", "multi", "floats", "doubles", "halfs", "ints"),
    *("strings", "scalar", "mixed", "scalar_in", "fail", "mat", "typed", "regress", "predict"),
    *("__saved_model_init_op", "nope"),
]
NAMES = ["images", "image_bytes", "x", "a", "b", "s", "flag", "i32", "u8", "f64", "ex", "n", "b64"]
TEXTS = ["", "x", "YWI=", "@", "é", "\0", "😀", "\ud800", "true", "1e999", "/" * 300]
NUMBERS = [0, -0.0, 1, -1, 1.5, 255, 256, 2**31, -(2**31) - 1, 2**53, 2**63, 2**64, 10**30, 1e39]

scalars = (
    st.sampled_from([None, True, False, float("nan"), float("inf"), *NUMBERS, *TEXTS])
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
IMAGE = [[[1, 2, 3]] * 8] * 8
SEEDS = [
    ("m:predict", {"instances": [IMAGE, IMAGE]}),
    ("m:predict", {"instances": [{"images": IMAGE}]}),
    ("mv/labels/canary:predict", {"inputs": {"images": [IMAGE]}}),
    ("m:predict", {"signature_name": "raw", "instances": [{"b64": "AAEC" * 64}, "text"]}),
    ("t:predict", {"instances": [[1, 2, 3], [0.1, 0.2, 1e3]]}),
    ("t:predict", {"signature_name": "multi", "instances": [{"a": 1.5, "b": 2}]}),
    ("t:predict", {"signature_name": "multi", "inputs": {"a": [1.5, 3], "b": [2, 4]}}),
    ("t:predict", {"signature_name": "strings", "instances": ["a", {"b64": "/w=="}]}),
    ("t:predict", {"signature_name": "floats", "inputs": [1]}),
    ("t:predict", {"signature_name": "mat", "instances": [[[1, 2], [3, 4]]]}),
    ("t:predict", {"signature_name": "halfs", "inputs": [1.5]}),
    (
        "t:predict",
        {
            "signature_name": "typed",
            "instances": [{"flag": True, "i32": -5, "u8": 200, "f64": 0.1}],
        },
    ),
    ("c:classify", {"examples": [{"x": [1.0, 2.0], "n": "abc"}], "context": {"n": "z"}}),
    ("c:regress", {"signature_name": "regress", "examples": [{"x": [3.0, 0.5]}]}),
]
plausible = st.sampled_from(
    [document[key] for _, document in SEEDS for key in document if key != "signature_name"]
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(SIGNATURES) | values,
        "instances": plausible | values,
        "inputs": plausible | values,
        "examples": plausible | values,
        "context": values,
    },
)
DAMAGE = [
    *(
        b'"',
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b" ",
        b"\\u",
        b"\\ud83d",
        b"1e",
        b"-",
        b"NaN",
        b"0",
    ),
    *(b"null", b"true", b'"b64"', b'{"b64":', b'"instances":', b"[" * 3000, b"9" * 5000, b"\xff"),
]


@st.composite
def requests(draw):
    """A path and a body: a good request or any JSON, then often some damage to its bytes."""
    path, document = draw(
        st.sampled_from(SEEDS) | st.tuples(st.sampled_from(PATHS), documents | values)
    )
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    body = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 5]))):
        at = draw(st.integers(0, len(body)))
        until = draw(st.integers(at, min(len(body), at + 8)))
        body[at:until] = draw(st.binary(max_size=3) | st.sampled_from([*DAMAGE, bytes(body)]))
    return path, bytes(body)


class Client:
    """One connection, opened again when the server closes it. Gives up at the deadline."""

    def __init__(self, url):
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=DEADLINE_SECONDS
        )

    def close(self):
        self._connection.close()

    def post(self, path, body, headers):
        self._connection.request("POST", path, body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.getheader("Content-Type"), reply.read()


def resident_bytes(process):
    return process.memory_info().rss


@pytest.fixture(scope="module")
def watched(rest_url, request):
    """The client, and the server's process when it is ours."""
    is_ours = not request.config.getoption("--model-server-url")
    port = urlsplit(rest_url).port
    owners = [
        connection.pid
        for connection in (psutil.net_connections("tcp") if is_ours else [])
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    client = Client(rest_url)
    yield client, psutil.Process(owners[0]) if owners else None
    client.close()


def test_no_body_gets_anything_but_a_documented_answer(watched):
    client, process = watched
    statuses = {}

    @settings(
        max_examples=EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        request=requests(),
        encoding=st.sampled_from(["", "", "", "", "gzip", "deflate"]),
    )
    def post(request, encoding):
        path, body = request
        headers = {"Content-Encoding": encoding} if encoding else {}
        status, content_type, answer = client.post(f"/v1/models/{path}", body, headers)
        assert status in DOCUMENTED, answer
        assert content_type == "application/json"
        value = json.loads(answer.decode("latin-1"))
        assert (status == 200) == ("error" not in value)
        statuses[status] = statuses.get(status, 0) + 1

    for _ in range(20):  # what the first requests allocate is no growth
        client.post("/v1/models/t:predict", b'{"instances": [[1, 2, 3]]}', {})
    before = resident_bytes(process) if process else 0
    post()
    after = resident_bytes(process) if process else 0

    grown = f"{(after - before) / 2**20:.0f} MB"
    print(f"statuses {statuses}, grown by {grown}")  # noqa: T201 - for the long run
    assert statuses.get(200, 0) > 0
    assert after - before < MAX_GROWTH_BYTES
    status, _, answer = client.post("/v1/models/t:predict", b'{"instances": [[1, 2, 3]]}', {})
    assert (status, json.loads(answer)) == (200, {"predictions": [[2.0, 4.0, 6.0]]})
