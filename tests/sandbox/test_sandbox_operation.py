"""The sandbox as people run it: the command, its death in the middle of writes, fixtures of pytest, other languages."""

import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reconciler.cli.main import main
from reconciler.sandbox import Sandbox, Webhooks
from reconciler.sandbox.server import Server
from reconciler.sandbox.webhooks import RETRIES

from .test_sandbox_webhooks import listening

pytest_plugins = ["pytester"]

KEY = "sk_test_sandbox"
ENDPOINTS = 2


@contextmanager
def running(*options):
    """Run ``reconciler sandbox`` as a process and yield its address and the process; it is ended afterwards."""
    command = [sys.executable, "-m", "reconciler", "sandbox", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        exported = {}
        while "STRIPE_API_KEY" not in exported:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exported[name] = value
        process.exported = exported
        yield exported["STRIPE_API_BASE"], process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        finally:
            process.kill()
            process.stdout.close()
            process.stderr.close()


def post(url, path, body, **headers):
    """Send one POST over a connection of its own and return status and JSON; a cut connection is an OSError."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("POST", path, body, {"Authorization": f"Bearer {KEY}", **headers})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def rows(image):
    """Return the stored objects by kind, from the export of a database."""
    found = {}
    for _seq, _account, kind, _id, _created, body in image["tables"]["object"]:
        found.setdefault(kind, []).append(json.loads(body))
    return found


def write_until_cut(url, answered):
    """Make products, each with its key, until the server is gone."""
    number = 0
    while True:
        number += 1
        body = f"name=p{number}&default_price_data[currency]=usd&default_price_data[unit_amount]={number}"
        try:
            status, _ = post(url, "/v1/products", body, **{"Idempotency-Key": f"k{number}"})
        except (OSError, http.client.HTTPException):
            return
        assert status == 200
        answered.append(number)


def check_death(path, seed):
    """Kill a server at a moment the seed decides, in the middle of writes, and check what the file holds."""
    chance = random.Random(seed)
    answered = []
    with listening(500) as (hook, _, _):
        with running("--db", str(path)) as (url, process):
            for number in range(ENDPOINTS):
                form = f"url={hook}/{number}&enabled_events[0]=*"
                assert post(url, "/v1/webhook_endpoints", form)[0] == 200
            writer = threading.Thread(target=write_until_cut, args=(url, answered))
            writer.start()
            while len(answered) < 3:
                time.sleep(0.005)
            time.sleep(chance.random() * 0.3)
            process.kill()
            writer.join()
        with Sandbox(str(path)) as sandbox:
            image = sandbox.state.dump()
    found = rows(image)
    names = {product["name"] for product in found["product"]}
    assert {f"p{number}" for number in answered} <= names
    assert len(names) <= len(answered) + 1
    assert {row[1] for row in image["tables"]["idempotency"]} == {f"k{name[1:]}" for name in names}
    made = Counter(event["data"]["object"]["id"] for event in found["event"])
    assert made == Counter(each["id"] for kind in ("product", "price") for each in found[kind])
    assert len(found["price"]) == len(found["product"])
    told = Counter(each["event"] for each in found["webhook_delivery"])
    assert told == Counter({event["id"]: ENDPOINTS for event in found["event"]})
    waiting = {row[4] for row in image["tables"]["due"]}
    assert len(waiting) == sum(each["status"] == "pending" for each in found["webhook_delivery"])


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_server_leaves_whole_requests(tmp_path, seed):
    """After ``kill -9`` the file opens; object, event, key and deliveries of a request are all there, or all absent."""
    check_death(tmp_path / "db", seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_a_server_killed_at_any_moment_leaves_whole_requests(tmp_path, seed):
    """The same at many moments."""
    check_death(tmp_path / "db", seed)


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path):
    """A server that dies before it delivered, does so once it runs again."""
    path = str(tmp_path / "db")
    with running("--db", path) as (url, process):
        # Nothing listens here, so that every attempt fails until it is told where somebody does.
        status, endpoint = post(
            url, "/v1/webhook_endpoints", "url=http://127.0.0.1:9/&enabled_events[0]=product.created"
        )
        assert status == 200
        post(url, "/v1/products", "name=x")
        process.kill()
    with listening() as (hook, got, arrived):
        later = int(time.time()) + sum(RETRIES["sandbox"])
        with Sandbox(path, clock=later) as sandbox:
            sandbox.client().v1.webhook_endpoints.update(endpoint["id"], {"url": hook})
            sandbox.deliver()
            assert arrived.acquire(timeout=10)
    assert json.loads(got[0][2])["type"] == "product.created"


def test_an_undelivered_event_outlives_the_process_that_made_it(open_sandbox, account, tmp_path):
    """An event committed by a process that never delivers is delivered by the next one, once."""
    posts = []
    path = str(tmp_path / "db")
    with Sandbox(path, clock=5) as first:
        api = account(first)
        api.post("/v1/webhook_endpoints", {"url": "http://127.0.0.1:9", "enabled_events": ["*"]})
        api.product()
    second = open_sandbox(path, clock=5, webhooks=Webhooks(post=lambda *sent: posts.append(sent) or 200))
    assert (second.deliver(), second.deliver(), len(posts)) == (1, 0, 1)


def test_the_command_seeds_breaks_and_logs(tmp_path):
    """Seed, faults of a YAML file and of the command line, and the log of requests work together."""
    seed = tmp_path / "seed.json"
    make = {"name": "p", "path": "/v1/products", "method": "post", "params": {"id": "seeded", "name": "x"}}
    seed.write_text(json.dumps({"fixtures": [make], "env": {"PRODUCT": "${p:id}"}}))
    faults = tmp_path / "faults.yaml"
    faults.write_text("faults:\n- {kind: rate_limit, path: /v1/products, method: POST, probability: 1.0}\n")
    options = (
        "--seed",
        str(seed),
        "--faults",
        str(faults),
        "--fault",
        "kind=error,path=/v1/prices,status=503",
        "--log",
    )
    with running(*options) as (url, process):
        assert post(url, "/v1/products", "name=y")[0] == 429
        assert post(url, "/v1/prices", "")[0] == 503
        assert post(url, "/v1/products/seeded", "name=z")[1]["name"] == "z"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.exported["PRODUCT"] == "seeded"
    assert "Seeded with 1 requests" in err
    assert "POST   /v1/products 429" in err
    assert "rate_limit" in err


@pytest.mark.parametrize(
    ("name", "content", "option", "code"),
    [
        ("seed.json", "{", "--seed", "E1209"),
        ("seed.yaml", "fixtures: [", "--seed", "E1209"),
        ("seed.json", "{}", "--seed", "E1213"),
        ("faults.json", '[{"kind": "explode"}]', "--faults", "E1204"),
        ("faults.yaml", "faults: 1", "--faults", "E1204"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_in_words(tmp_path, capsys, name, content, option, code):
    """What is no file of fixtures or faults ends the command with a usage error that names what is wrong."""
    file = tmp_path / name
    file.write_text(content)
    assert main(["sandbox", option, str(file)]) == 64
    assert f"error[{code}]" in capsys.readouterr().err


def test_pytest_has_fixtures(pytester):
    """One line in a conftest gives tests a fresh sandbox each, its client, and a server with the environment set."""
    pytester.makeconftest('pytest_plugins = ["reconciler.sandbox.pytest"]')
    pytester.makepyfile(
        """
        import os
        import stripe

        def test_a_product_is_made(stripe_sandbox, stripe_client):
            assert stripe_client.v1.products.create({"name": "x"}).name == "x"
            assert len(stripe_sandbox.requests) == 1

        def test_the_next_test_starts_anew(stripe_client):
            assert stripe_client.v1.products.list().data == []

        def test_a_server_is_there(stripe_sandbox_server, stripe_client):
            bases = dict.fromkeys(("api", "connect", "files", "meter_events"), os.environ["STRIPE_API_BASE"])
            over_http = stripe.StripeClient(os.environ["STRIPE_API_KEY"], base_addresses=bases)
            stripe_client.v1.products.create({"name": "x"})
            assert [product.name for product in over_http.v1.products.list().data] == ["x"]
            assert stripe_sandbox_server.url == os.environ["STRIPE_API_BASE"]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


NODE = """
const Stripe = require('stripe');
const url = new URL(process.argv[2]);
const stripe = new Stripe('sk_test_sandbox', {
  host: url.hostname, port: url.port, protocol: 'http', apiVersion: process.argv[3], telemetry: false,
});
(async () => {
  const product = await stripe.products.create({name: 'Pro', metadata: {a: 'b'}});
  const price = await stripe.prices.create({product: product.id, currency: 'usd', unit_amount: 500});
  const found = await stripe.products.search({query: 'metadata["a"]:"b"'});
  const event = stripe.webhooks.constructEvent(process.argv[4], process.argv[5], process.argv[6]);
  console.log(JSON.stringify([product.name, price.unit_amount, found.data.length, event.type]));
})();
"""


def test_stripe_node_speaks_to_the_sandbox(open_sandbox, account, tmp_path):
    """Stripe's library for Node makes, searches, and verifies a webhook of the sandbox.

    Needs node and the npm package stripe where ``NODE_PATH`` leads.
    """
    node = shutil.which("node")
    if not node or subprocess.run([node, "-e", "require('stripe')"], capture_output=True, check=False).returncode:
        pytest.skip("node or its package stripe is not installed")
    posts = []
    sandbox = open_sandbox(clock=None, webhooks=Webhooks(post=lambda *sent: posts.append(sent) or 200))
    api = account(sandbox)
    secret = api.post("/v1/webhook_endpoints", {"url": "http://127.0.0.1:9", "enabled_events": ["*"]})["secret"]
    version = api.send("GET", "/v1/account").headers["stripe-version"]
    api.coupon()
    sandbox.deliver()
    ((_, headers, body),) = posts
    script = tmp_path / "script.js"
    script.write_text(NODE)
    with Server(sandbox) as server:
        arguments = [node, str(script), server.url, version, body.decode(), headers["Stripe-Signature"], secret]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ))
    assert json.loads(done.stdout) == ["Pro", 500, 1, "coupon.created"]


def test_the_guide_is_true(open_sandbox):
    """The Python of the guide's section on other languages runs as it stands against a server."""
    guide = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    snippet = guide.split("stripe-python over HTTP", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    with Server(open_sandbox(clock=None)) as server:
        environment = {**os.environ, "STRIPE_API_BASE": server.url, "STRIPE_API_KEY": KEY}
        done = subprocess.run(
            [sys.executable, "-c", snippet], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
    assert (done.returncode, done.stdout.strip()) == (0, "Pro"), done.stderr
