"""AutoGen's OpenAIAssistantAgent (autogen-ext), which polls a run and calls the tools itself."""

import openai
from autogen_agentchat.messages import TextMessage, ToolCallExecutionEvent, ToolCallRequestEvent
from autogen_core import CancellationToken
from autogen_ext.agents.openai import OpenAIAssistantAgent
from openai import AsyncOpenAI
from report import ANSWER, CALLING, KEY, OUTPUT, URL, absent, same, step

client = AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0)
QUESTION = [TextMessage(source="user", content="Weather?")]


def get_current_weather(location: str, unit: str = "celsius") -> str:
    """Get the current weather in a given location"""
    return OUTPUT


def create(tools):
    return OpenAIAssistantAgent(
        name="weather", description="The weather.", model=CALLING, instructions="Be brief.", tools=tools, client=client
    )


@step("assistant")
async def agent():
    made = create([get_current_weather])
    # The agent creates its assistant with the first message; a reset creates it, too.
    await made.on_reset(CancellationToken())
    return made


@step("run")
async def answered():
    response = await agent.on_messages(QUESTION, CancellationToken())
    asked = [event for event in response.inner_messages if isinstance(event, ToolCallRequestEvent)]
    same([call.name for event in asked for call in event.content], ["get_current_weather"])
    return response


@step("submit")
def submitted():
    executed = [event for event in answered.inner_messages if isinstance(event, ToolCallExecutionEvent)]
    same([result.content for event in executed for result in event.content], [OUTPUT])


@step("message")
def message():
    same(answered.chat_message.content, ANSWER)


for name in ("stream", "silence", "dripping"):
    absent(name, "OpenAIAssistantAgent polls; its stream is one of whole messages")


@step("paging")
async def paging():
    # The agent reads all messages of a thread by pages of 100 when it takes the thread over.
    first = [{"role": "user", "content": str(number)} for number in range(100)]
    thread = await client.beta.threads.create(messages=first)
    await client.beta.threads.messages.create(thread.id, role="user", content="last")
    taker = OpenAIAssistantAgent(
        name="taker",
        description="Takes a thread over.",
        client=client,
        model="scripted:chat",
        instructions="Be brief.",
        thread_id=thread.id,
    )
    response = await taker.on_messages(QUESTION, CancellationToken())
    same(response.chat_message.content, "You said: Weather?")


absent("cancel", "a cancelled OpenAIAssistantAgent stops polling; it does not cancel the run")


@step("error")
async def error():
    try:
        await create(["code_interpreter"]).on_messages(QUESTION, CancellationToken())
    except openai.BadRequestError as refused:
        same((refused.status_code, refused.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
