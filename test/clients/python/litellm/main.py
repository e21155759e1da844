"""LiteLLM's assistants. Its calls wait for a run to its end or stream it; only the client below them submits outputs."""

import litellm
import openai
from report import CALLING, DRIPPING, KEY, SAID, SILENT, URL, WEATHER, WORDS, absent, same, step

WHERE = {"custom_llm_provider": "openai", "api_base": URL, "api_key": KEY}


def assistant_of(model, tools=()):
    return litellm.create_assistants(
        model=model, tools=list(tools), custom_llm_provider="openai", api_base=URL, api_key=KEY
    )


def started(assistant):
    thread = litellm.create_thread(messages=[{"role": "user", "content": "Weather?"}], **WHERE)
    return litellm.run_thread(thread_id=thread.id, assistant_id=assistant.id, **WHERE)


def streamed(model):
    thread = litellm.create_thread(**WHERE)
    text = ""
    with litellm.run_thread_stream(thread_id=thread.id, assistant_id=assistant_of(model).id, **WHERE) as stream:
        for piece in stream.text_deltas:
            text += piece
    return text


@step("assistant")
def assistant():
    return assistant_of(CALLING, [WEATHER])


@step("run")
def run():
    waiting = started(assistant)
    same(waiting.status, "requires_action")
    return waiting


for name in ("submit", "cancel"):
    absent(name, "LiteLLM has no call for it; use the OpenAI client beside it")


@step("message")
def message():
    # An answer of a run without tools, since outputs can't be submitted.
    speaker = assistant_of("scripted:chat")
    thread = litellm.create_thread(messages=[{"role": "user", "content": "Hello"}], **WHERE)
    same(litellm.run_thread(thread_id=thread.id, assistant_id=speaker.id, **WHERE).status, "completed")
    messages = litellm.get_messages(thread_id=thread.id, **WHERE)
    same(messages.data[0].content[0].text.value, "You said: Hello")


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
    thread = litellm.create_thread(**WHERE)
    for content in ("one", "two", "three"):
        litellm.add_message(thread_id=thread.id, role="user", content=content, **WHERE)
    pages = litellm.get_messages(thread_id=thread.id, **WHERE)
    same([one.content[0].text.value for one in pages], ["three", "two", "one"])


@step("error")
def error():
    try:
        assistant_of(CALLING, [{"type": "code_interpreter"}])
    except openai.BadRequestError as refused:
        same((refused.status_code, refused.code), (400, "unsupported_parameter"))
        return
    raise AssertionError("not refused")
