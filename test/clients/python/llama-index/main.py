"""LlamaIndex's OpenAIAssistantAgent, which polls a run and calls the tools itself. It makes its own client, from the environment."""

import openai
from llama_index.agent.openai import OpenAIAssistantAgent
from llama_index.core.tools import FunctionTool
from report import ANSWER, CALLING, KEY, OUTPUT, absent, same, step


def get_current_weather(location: str, unit: str = "celsius") -> str:
    """Get the current weather in a given location"""
    return OUTPUT


def create(**tools):
    return OpenAIAssistantAgent.from_new(
        name="weather", instructions="Be brief.", model=CALLING, **tools, api_key=KEY
    )


@step("assistant")
def agent():
    return create(tools=[FunctionTool.from_defaults(fn=get_current_weather)])


@step("run")
def answered():
    agent.add_message("Weather?")
    run, more = agent.run_assistant()
    same([source.tool_name for source in more["sources"]], ["get_current_weather"])
    return run, more


@step("submit")
def submitted():
    run, more = answered
    same([source.content for source in more["sources"]], [OUTPUT])
    same(run.status, "completed")


@step("message")
def message():
    submitted_first = answered
    assert submitted_first is not None
    same(agent.latest_message.content, ANSWER)


@step("paging")
def paging():
    reader = create()
    said = [f"message {n}" for n in range(25)]
    for content in said:
        reader.add_message(content)
    same([one.content for one in reader.chat_history], said)


for name in ("stream", "silence", "dripping", "cancel"):
    absent(name, "OpenAIAssistantAgent polls; it has no call for this")


@step("error")
def error():
    try:
        create(openai_tools=[{"type": "code_interpreter"}])
    except openai.BadRequestError as refused:
        same((refused.status_code, refused.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
