"""Slow streams through every stream helper of the official Python client, all at once.

One JSON line for each: {"name": ..., "text": what was streamed, "status": how the run ended, "error": null or the traceback}.
OPENAI_BASE_URL names the server; the arguments are names of models, each of which is streamed in both clients.
"""

import asyncio
import json
import sys
import traceback

from openai import AssistantEventHandler, AsyncOpenAI, OpenAI
from openai.lib.streaming import AsyncAssistantEventHandler


def blocking(model):
    with OpenAI(api_key="not-needed", max_retries=0) as client:
        assistant = client.beta.assistants.create(model=model)
        with client.beta.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=AssistantEventHandler()
        ) as stream:
            text = "".join(stream.text_deltas)
            return text, stream.get_final_run().status


async def asynchronous(model):
    async with AsyncOpenAI(api_key="not-needed", max_retries=0) as client:
        assistant = await client.beta.assistants.create(model=model)
        thread = await client.beta.threads.create()
        async with client.beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, event_handler=AsyncAssistantEventHandler()
        ) as stream:
            text = "".join([piece async for piece in stream.text_deltas])
            return text, (await stream.get_final_run()).status


async def report(name, work):
    try:
        text, status = await work
        print(json.dumps({"name": name, "text": text, "status": status, "error": None}), flush=True)
    except Exception:  # pylint: disable=broad-except
        print(json.dumps({"name": name, "text": "", "status": "", "error": traceback.format_exc()}), flush=True)


async def main(models):
    await asyncio.gather(
        *[report(f"blocking {model}", asyncio.to_thread(blocking, model)) for model in models],
        *[report(f"asynchronous {model}", asynchronous(model)) for model in models],
    )


asyncio.run(main(sys.argv[1:]))
