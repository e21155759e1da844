"""LangChain's OpenAIAssistantRunnable."""

import openai
from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_core.agents import AgentFinish
from openai import OpenAI
from report import ANSWER, CALLING, KEY, OUTPUT, URL, WEATHER, absent, same, step


def create(tools):
    return OpenAIAssistantRunnable.create_assistant(
        name="weather",
        instructions="Be brief.",
        tools=tools,
        model=CALLING,
        as_agent=True,
        check_every_ms=100,
        client=OpenAI(base_url=URL, api_key=KEY, max_retries=0),
    )


@step("assistant")
def agent():
    return create([WEATHER])


@step("run")
def actions():
    asked = agent.invoke({"content": "Weather?"})
    same([action.tool for action in asked], ["get_current_weather"])
    return asked


@step("submit")
def finish():
    (action,) = actions
    finished = agent.invoke(
        {
            "tool_outputs": [{"tool_call_id": action.tool_call_id, "output": OUTPUT}],
            "run_id": action.run_id,
            "thread_id": action.thread_id,
        }
    )
    assert isinstance(finished, AgentFinish), finished
    return finished


@step("message")
def message():
    same(finish.return_values["output"], ANSWER)


NO_CALL = "OpenAIAssistantRunnable polls; it has no call for this"
for name in ("stream", "silence", "dripping", "paging", "cancel"):
    absent(name, NO_CALL)


@step("error")
def error():
    try:
        create([{"type": "code_interpreter"}])
    except openai.BadRequestError as refused:
        same((refused.status_code, refused.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
