"""Who calls when schemathesis tests the API: people who signed in at the simulated Amazon, and a service.

Schemathesis loads this as its hooks. It knows the shapes of requests; this adds what makes them succeed now and then: good
credentials, ids that exist, a consent that was given. What each operation answered is counted and written down at the end,
since a run in which all was refused would find nothing wrong.
"""

import atexit
import collections
import itertools
import json
import os
import threading
import uuid
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import requests
import schemathesis

API = os.environ["EVERGRANT_URL"]
AMAZON = os.environ["EVERGRANT_AMAZON_URL"]
SERVICE = os.environ["EVERGRANT_KEY"]
EMAIL = os.environ["EVERGRANT_EMAIL"]
PASSWORD = os.environ["EVERGRANT_PASSWORD"]

# For API keys only, by operation and by tag: operators are no users here.
OF_SERVICES = {"getAccessToken", "operations"}
# For people and for API keys: in turn.
OF_BOTH = {"connections", "amc"}
# What these end would be missing elsewhere, so that they have somebody of their own.
ALONE = {"logout": "signed-out", "disconnect": "disconnected", "disconnectAmazon": "disconnected-amazon"}
# Paths at the simulated Amazon.
PATHS = itertools.cycle(["v2/profiles", "amc/accounts", "amc/instances"])


class Person:
    """Somebody who has signed in with Amazon and has connected these accounts."""

    def __init__(self, accounts):
        self.cookies = {}
        self.bearer = None
        for account in accounts:
            query, _ = self.consented(account)
            self.ask("GET", f"/api/auth/amazon/callback?{query}")
            if self.bearer is None:
                self.bearer = self.ask("POST", "/api/auth/refresh").json()["access_token"]
        self.connections = sorted(row["id"] for row in self.ask("GET", "/api/connections").json()["items"])
        if len(self.connections) != len(accounts):
            raise RuntimeError(f"{accounts} became {len(self.connections)} connections")

    def consented(self, account):
        """Says yes at the consent page: the query and the cookies with which the browser comes back."""
        page = urlsplit(self.ask("GET", "/api/auth/amazon/login").json()["auth_url"])
        form = {**dict(parse_qsl(page.query)), "user": account, "decision": "allow"}
        page = urlunsplit(page._replace(query=""))
        back = requests.post(page, data=form, allow_redirects=False, timeout=30).headers["Location"]
        return urlsplit(back).query, self.cookie_header()

    def cookie_header(self):
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def ask(self, method, path):
        """As a browser does. Our cookies are for HTTPS only, which is why no library sends them to this server."""
        headers = {"X-Requested-With": "schemathesis"}
        if self.cookies:
            headers["Cookie"] = self.cookie_header()
        if self.bearer:
            headers["Authorization"] = f"Bearer {self.bearer}"
        answer = requests.request(method, API + path, headers=headers, allow_redirects=False, timeout=30)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {urlsplit(path).path}: {answer.status_code}")
        self.cookies.update(answer.cookies.items())
        return answer


ADA = Person(["ada-1", "ada-2", "ada-3"])
# One of her grants has ended: whatever needs its token is told so.
requests.post(f"{AMAZON}/sim/revoke/ada-3", timeout=30).raise_for_status()
OTHERS = {name: Person([f"{name}-1", f"{name}-2"]) for name in sorted(set(ALONE.values()))}
TURNS = itertools.count()


def operation_id(operation):
    return operation.definition.raw["operationId"]


def person(operation):
    return OTHERS.get(ALONE.get(operation_id(operation)), ADA)


@schemathesis.auth(refresh_interval=None)
class Credentials:
    def get(self, case, context):
        name, tags = operation_id(case.operation), set(case.operation.definition.raw["tags"])
        is_turn = name not in ALONE and tags & OF_BOTH and "reconnect" not in name and next(TURNS) % 2 == 0
        return SERVICE if ({name} | tags) & OF_SERVICES or is_turn else person(case.operation).bearer

    def set(self, case, credential, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {credential}"}


@schemathesis.hook
def map_path_parameters(context, parameters):
    """Ids and paths of which most exist: otherwise all that is ever tested is 404."""
    for name in ("id", "connection"):
        try:
            number = uuid.UUID(str((parameters or {}).get(name))).int
        except ValueError:
            continue
        existing = person(context.operation).connections
        parameters[name] = [*existing, str(uuid.UUID(int=number))][number % (len(existing) + 1)]
    return parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    name = operation_id(case.operation)
    if "amc" in case.operation.definition.raw["tags"] and next(TURNS) % 2 == 0:
        # Its slashes are slashes, which OpenAPI has no way to say.
        kwargs["url"] = f"{API}/api/amc/{case.path_parameters['connection']}/{next(PATHS)}"
    if name == "login" and isinstance(case.body, dict) and next(TURNS) % 4 == 0:
        case.body = {**case.body, "email": EMAIL, "password": PASSWORD}
    if name == "endAmazonLogin" and next(TURNS) % 4 == 0:
        back, cookies = ADA.consented("ada-1")
        # Good in all, or with what was made up in place of the rest.
        back = dict(parse_qsl(back)) if next(TURNS) % 2 == 0 else {"state": dict(parse_qsl(back))["state"]}
        case.query = {**(case.query or {}), **back}
        case.headers = {**(case.headers or {}), "Cookie": cookies}


ANSWERS = collections.defaultdict(lambda: {"statuses": collections.Counter(), "done": 0})
LOCK = threading.Lock()


@schemathesis.hook
def after_call(context, case, response):
    if case.method.upper() != case.operation.method.upper():
        return
    # What is passed on is done, whatever the API beyond says to it.
    is_done = response.status_code < 400 or "evergrant-outcome" in response.headers
    with LOCK:
        answers = ANSWERS[operation_id(case.operation)]
        answers["statuses"][response.status_code] += 1
        answers["done"] += is_done


@atexit.register
def write_answers():
    with open(os.environ["EVERGRANT_ANSWERS"], "w", encoding="utf-8") as file:
        json.dump(ANSWERS, file)
