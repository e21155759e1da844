"""Semantic Kernel's OpenAIAssistantAgent, which polls or streams a run and calls the kernel's functions itself."""

import openai
from openai import AsyncOpenAI
from report import CALLING, DRIPPING, KEY, OUTPUT, SAID, SILENT, URL, WORDS, absent, same, step
from semantic_kernel.agents import AssistantAgentThread, OpenAIAssistantAgent
from semantic_kernel.contents import FunctionCallContent, FunctionResultContent
from semantic_kernel.functions import kernel_function

CALLED = "Weather-current_weather"
client = AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0)


class Weather:
    @kernel_function(name="current_weather", description="Get the current weather in a given location")
    def current_weather(self, location: str, unit: str = "celsius") -> str:
        return OUTPUT


async def create(model, **more):
    definition = await client.beta.assistants.create(model=model, name="weather")
    return OpenAIAssistantAgent(definition=definition, **more, client=client)


async def streamed(model):
    agent = await create(model)
    text = ""
    async for response in agent.invoke_stream(messages="Hello"):
        text += str(response.message)
    return text


@step("assistant")
async def agent():
    # The kernel names a function PLUGIN-FUNCTION; this script calls whatever tool there is.
    return await create("scripted:auto", plugins=[Weather()])


@step("run")
async def answered():
    seen = []

    async def note(message):
        seen.extend(message.items)

    *_, response = [one async for one in agent.invoke(messages="Weather?", on_intermediate_message=note)]
    calls = [item for item in seen if isinstance(item, FunctionCallContent)]
    same([call.name for call in calls], [CALLED])
    return response, seen


@step("submit")
def submitted():
    _response, seen = answered
    results = [item for item in seen if isinstance(item, FunctionResultContent)]
    same([str(result.result) for result in results], [OUTPUT])


@step("message")
def message():
    response, _seen = answered
    same(str(response.message), f"Done. {CALLED} said: {OUTPUT}")


@step("stream")
async def stream():
    same(await streamed(WORDS), SAID[WORDS])


@step("silence")
async def silence():
    same(await streamed(SILENT), SAID[SILENT])


@step("dripping")
async def dripping():
    same(await streamed(DRIPPING), SAID[DRIPPING])


@step("paging")
async def paging():
    thread = await client.beta.threads.create()
    said = [f"message {n}" for n in range(25)]
    for content in said:
        await client.beta.threads.messages.create(thread.id, role="user", content=content)
    read = AssistantAgentThread(client=client, thread_id=thread.id)
    same([str(one) async for one in read.get_messages(sort_order="asc")], said)


absent("cancel", "OpenAIAssistantAgent has no call for it")


@step("error")
async def error():
    tools, resources = OpenAIAssistantAgent.configure_code_interpreter_tool()
    try:
        await client.beta.assistants.create(model=CALLING, tools=tools, tool_resources=resources)
    except openai.BadRequestError as refused:
        same((refused.status_code, refused.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
