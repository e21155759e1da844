"""Marvin's assistants, which stream a run and call the tools themselves. The environment tells it the server."""

import tiktoken
from report import ANSWER, CALLING, DRIPPING, OUTPUT, SAID, SILENT, WORDS, same, step

# Marvin fetches the tables of a tokenizer when it is imported. No step counts tokens, and a test fetches nothing.
tiktoken.encoding_for_model = lambda _model: tiktoken.Encoding(
    "bytes", pat_str=".", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={}
)

import openai  # noqa: E402
from marvin.beta.assistants import Assistant, Thread  # noqa: E402
from marvin.beta.assistants.runs import Run  # noqa: E402
from marvin.tools.assistants import CodeInterpreter, EndRun  # noqa: E402


def get_current_weather(location: str, unit: str = "celsius") -> str:
    """Get the current weather in a given location"""
    return OUTPUT


def end_the_run(location: str, unit: str = "celsius") -> str:
    """Get the current weather in a given location"""
    raise EndRun("enough")


end_the_run.__name__ = "get_current_weather"


def text(message):
    return "".join(part.text.value for part in message.content if part.type == "text")


class Listener(openai.AsyncAssistantEventHandler):
    heard = ""

    async def on_text_delta(self, delta, snapshot):
        Listener.heard += delta.value or ""


async def said(assistant, question="Weather?", **more):
    thread = Thread()
    await thread.add_async(question)
    return await Run(assistant=assistant, thread=thread, **more).run_async()


async def streamed(model):
    Listener.heard = ""
    await said(Assistant(model=model), event_handler_class=Listener)
    return Listener.heard


@step("assistant")
async def assistant():
    made = Assistant(name="weather", model=CALLING, tools=[get_current_weather])
    await made.create_async()
    return made


@step("run")
async def run():
    finished = await said(assistant)
    calls = [one for one in finished.steps if one.type == "tool_calls"]
    same([call.function.name for one in calls for call in one.step_details.tool_calls], ["get_current_weather"])
    return finished


@step("submit")
def submitted():
    same(run.run.status, "completed")


@step("message")
def message():
    same(text(run.messages[-1]), ANSWER)


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
    thread = await Thread().create_async(messages=["one", "two", "three"])
    newest = await thread.get_messages_async(limit=2)
    older = await thread.get_messages_async(limit=2, before_message=newest[0].id)
    same([text(one) for one in older + newest], ["one", "two", "three"])


@step("cancel")
async def cancel():
    ended = await said(Assistant(model=CALLING, tools=[end_the_run]))
    same(ended.data, "enough")
    for _ in range(100):
        if ended.run.status == "cancelled":
            return
        await ended.refresh_async()
    same(ended.run.status, "cancelled")


@step("error")
async def error():
    try:
        await said(Assistant(model=CALLING, tools=[CodeInterpreter]))
    except openai.BadRequestError as refused:
        same((refused.status_code, refused.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
