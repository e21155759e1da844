"""azure-ai-agents. It sends its token by https only, so it goes through the TLS proxy."""

import time

from azure.ai.agents import AgentsClient
from azure.ai.agents.models import (
    AgentEventHandler,
    CodeInterpreterToolDefinition,
    FunctionDefinition,
    FunctionToolDefinition,
    ListSortOrder,
    ToolOutput,
)
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from report import (
    ANSWER,
    CA_FILE,
    CALLING,
    DRIPPING,
    HTTPS,
    KEY,
    OUTPUT,
    SAID,
    SILENT,
    WEATHER,
    WORDS,
    same,
    step,
)


class KeyAsToken:
    """A key of the server in the place of a token of Entra."""

    def get_token(self, *_scopes, **_options):
        return AccessToken(KEY, int(time.time()) + 3600)


client = AgentsClient(
    endpoint=HTTPS + "/v1", credential=KeyAsToken(), connection_verify=CA_FILE, retry_total=0
)
FUNCTION = FunctionToolDefinition(
    function=FunctionDefinition(
        name=WEATHER["function"]["name"],
        description=WEATHER["function"]["description"],
        parameters=WEATHER["function"]["parameters"],
    )
)
LIVE = {"queued", "in_progress", "cancelling"}


def follow(run):
    while run.status in LIVE:
        time.sleep(0.1)
        run = client.runs.get(thread_id=run.thread_id, run_id=run.id)
    return run


def start():
    thread = client.threads.create()
    client.messages.create(thread_id=thread.id, role="user", content="Weather?")
    return follow(client.runs.create(thread_id=thread.id, agent_id=agent.id))


def streamed(model):
    speaker = client.create_agent(model=model)
    thread = client.threads.create()
    text = ""
    with client.runs.stream(thread_id=thread.id, agent_id=speaker.id, event_handler=AgentEventHandler()) as stream:
        for _name, data, _returned in stream:
            text += getattr(data, "text", None) or ""
    return text


@step("assistant")
def agent():
    return client.create_agent(model=CALLING, name="weather", tools=[FUNCTION])


@step("run")
def run():
    waiting = start()
    same(waiting.status, "requires_action")
    return waiting


@step("submit")
def done():
    outputs = [
        ToolOutput(tool_call_id=call.id, output=OUTPUT) for call in run.required_action.submit_tool_outputs.tool_calls
    ]
    submitted = client.runs.submit_tool_outputs(thread_id=run.thread_id, run_id=run.id, tool_outputs=outputs)
    finished = follow(submitted)
    same(finished.status, "completed")
    return finished


@step("message")
def message():
    last = client.messages.get_last_message_text_by_role(thread_id=done.thread_id, role="assistant")
    same(last.text.value, ANSWER)


@step("stream")
def stream():
    same(streamed(WORDS), SAID[WORDS])


@step("silence")
def silence():
    same(streamed(SILENT), SAID[SILENT])


@step("dripping")
def dripping():
    same(streamed(DRIPPING), SAID[DRIPPING])


@step("paging")
def paging():
    thread = client.threads.create()
    for content in ("one", "two", "three"):
        client.messages.create(thread_id=thread.id, role="user", content=content)
    pages = client.messages.list(thread_id=thread.id, order=ListSortOrder.ASCENDING, limit=1)
    same([message.text_messages[0].text.value for message in pages], ["one", "two", "three"])


@step("cancel")
def cancel():
    waiting = start()
    same(follow(client.runs.cancel(thread_id=waiting.thread_id, run_id=waiting.id)).status, "cancelled")


@step("error")
def error():
    try:
        client.create_agent(model=CALLING, tools=[CodeInterpreterToolDefinition()])
    except HttpResponseError as refused:
        same((refused.status_code, refused.error.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
