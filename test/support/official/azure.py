"""The official Python client as it is configured for Azure, through a TLS proxy.

RUNS_ENDPOINT is the proxy's address, RUNS_KEY a key of the server, SSL_CERT_FILE the proxy's certificate. Every function
`check_*` is one test; one JSON line a check is written, as by checks.py.
"""

import json
import os
import sys
import traceback

import openai
from openai import AzureOpenAI, OpenAI

ENDPOINT = os.environ["RUNS_ENDPOINT"]
KEY = os.environ["RUNS_KEY"]
VERSION = "2024-05-01-preview"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
    },
}


def azure(**more):
    return AzureOpenAI(azure_endpoint=ENDPOINT, api_version=VERSION, max_retries=0, **{"api_key": KEY, **more})


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def outputs(run):
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": "mild"} for call in calls]


def conversation(client):
    beta = client.beta
    assistant = beta.assistants.create(model="scripted:weather", tools=[WEATHER])
    thread = beta.threads.create(messages=[{"role": "user", "content": "Weather?"}])
    run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    same(run.status, "requires_action")
    with beta.threads.runs.submit_tool_outputs_stream(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs(run)
    ) as stream:
        same("".join(stream.text_deltas), "The current weather in San Francisco, CA: mild")
        same(stream.get_final_run().status, "completed")
    roles = [one.role for one in beta.threads.messages.list(thread.id, limit=1, order="asc")]
    same(roles, ["user", "assistant"])
    same(beta.assistants.delete(assistant.id).deleted, True)


def check_paths_of_the_preview_api():
    client = azure()
    assert "/openai/" in str(client.base_url), client.base_url
    conversation(client)


def check_paths_of_the_v1_api():
    conversation(OpenAI(base_url=f"{ENDPOINT}/openai/v1/", api_key=KEY, max_retries=0))


def check_a_wrong_key_is_an_authentication_error():
    try:
        azure(api_key="not-the-key-of-anyone").beta.threads.create()
    except openai.AuthenticationError as error:
        same(error.status_code, 401)
    else:
        raise AssertionError("not refused")


def check_a_vendor_endpoint_that_is_not_here_is_not_found_and_named():
    try:
        azure().vector_stores.list()
    except openai.NotFoundError as error:
        same(error.code, "unsupported_endpoint")
    else:
        raise AssertionError("not refused")


def main():
    checks = {name: work for name, work in globals().items() if name.startswith("check_")}
    for name, work in checks.items():
        try:
            work()
            error = None
        except Exception:  # pylint: disable=broad-except
            error = traceback.format_exc()
        print(json.dumps({"name": name, "error": error}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
