"""Steps of a client program: each is run where it is defined, and is one JSON line on standard output.

    @step("assistant")
    def assistant():
        return client.beta.assistants.create(...)

The name stands for the step's result afterwards. A failed step ends nothing: a later one that needs its result says so.
"""

import asyncio
import inspect
import json
import os

# As docs/how-to/migrate-a-program.md calls them.
URL = os.environ["BASE_URL"]
KEY = os.environ["API_KEY"]
HTTPS = os.environ["HTTPS_URL"]
CA_FILE = os.environ["CA_FILE"]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["location"],
        },
    },
}
OUTPUT = "mild"
ANSWER = "The current weather in San Francisco, CA: mild"
# Models of the scripted model server: one call and an answer, and words: five, two with 17 s between them, 21 with 1 s.
CALLING = "scripted:weather"
WORDS, SILENT, DRIPPING = "scripted:words:5", "scripted:words:2x17000", "scripted:words:21x1000"


def words(count):
    return " ".join(f"word{number}" for number in range(1, count + 1))


SAID = {WORDS: words(5), SILENT: words(2), DRIPPING: words(21)}


LOOP = asyncio.new_event_loop()


class Missing:
    """Stands for the result of a step that failed."""

    def __init__(self, name):
        self.__dict__["missing"] = name

    def __getattr__(self, _attribute):
        raise RuntimeError(f"not reached: step {self.missing} failed")

    def __iter__(self):
        raise RuntimeError(f"not reached: step {self.missing} failed")


def same(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def line(name, ok, detail=""):
    print(json.dumps({"step": name, "ok": ok, "detail": detail}), flush=True)


def step(name):
    """Decorates a function without parameters. All asynchronous ones run on one event loop, as a client's connections do."""

    def run(work):
        try:
            result = LOOP.run_until_complete(work()) if inspect.iscoroutinefunction(work) else work()
        except Exception as error:  # pylint: disable=broad-except
            line(name, False, f"{type(error).__name__}: {error}")
            return Missing(name)
        line(name, True)
        return result

    return run


def absent(name, why):
    """The client offers no such call."""
    line(name, None, why)
