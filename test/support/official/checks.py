"""The official Python client, unchanged, against the runs server.

Every function `check_*` is one test; the name says what holds. Run as a program it runs them all, each on its own, and
writes one JSON line a check: {"name": ..., "error": null or the traceback}. OPENAI_BASE_URL names the server, and
OPENAI_API_KEY the tenant.
"""

import asyncio
import json
import sys
import time
import traceback
import typing

import openai
from openai import AssistantEventHandler, AsyncAssistantEventHandler, AsyncOpenAI, OpenAI

# Version 1.20 is older than the status: its helpers neither stop at an incomplete run nor take its last event.
KNOWS_INCOMPLETE = "incomplete" in typing.get_args(openai.types.beta.threads.RunStatus)

client = OpenAI(max_retries=0)
assistants = client.beta.assistants
threads = client.beta.threads

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
    },
}


def tool(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def assistant(script, tools=(WEATHER,), **more):
    return assistants.create(model=f"scripted:{script}", tools=list(tools), **more).id


def thread(content="Weather?"):
    return threads.create(messages=[{"role": "user", "content": content}]).id


def calls(run):
    return run.required_action.submit_tool_outputs.tool_calls


def outputs(run, output="mild"):
    return [{"tool_call_id": call.id, "output": output} for call in calls(run)]


def text(message):
    return "".join(part.text.value for part in message.content if part.type == "text")


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def refused(kind, work, **expected):
    try:
        given = work()
    except openai.APIStatusError as error:
        assert isinstance(error, kind), f"{error!r} is not a {kind.__name__}"
        for name, value in expected.items():
            same(getattr(error, name), value)
        assert error.request_id.startswith("req_"), error.request_id
        return error
    raise AssertionError(f"not refused: {given!r}")


def check_assistants():
    sampling = {"temperature": 0.5}
    made = assistants.create(
        model="gpt-4o", name="One", tools=[WEATHER], metadata={"a": "b"}, extra_body=sampling
    )
    same((made.object, made.name, made.temperature, made.metadata), ("assistant", "One", 0.5, {"a": "b"}))
    same(assistants.retrieve(made.id), made)
    same(assistants.update(made.id, name="Two").name, "Two")
    others = [assistants.create(model="gpt-4o").id for _ in range(2)]
    same([one.id for one in assistants.list(limit=1, order="asc", after=made.id)], others)
    page = assistants.list(limit=2)
    same([one.id for one in page.data], others[::-1])
    assert page.has_next_page()
    deleted = assistants.delete(made.id)
    same((deleted.id, deleted.deleted, deleted.object), (made.id, True, "assistant.deleted"))
    refused(openai.NotFoundError, lambda: assistants.retrieve(made.id))


def check_threads():
    made = threads.create(messages=[{"role": "user", "content": "one"}], metadata={"topic": "sums"})
    same(threads.retrieve(made.id), made)
    same(threads.update(made.id, metadata={"topic": "more"}).metadata, {"topic": "more"})
    same(threads.delete(made.id).deleted, True)
    refused(openai.NotFoundError, lambda: threads.retrieve(made.id))


def check_messages():
    place = thread("one")
    two = threads.messages.create(place, role="user", content="two", metadata={"nth": "2"})
    threads.messages.create(place, role="assistant", content=[{"type": "text", "text": "three"}])
    same([text(one) for one in threads.messages.list(place, limit=1, order="asc")], ["one", "two", "three"])
    same(threads.messages.retrieve(two.id, thread_id=place), two)
    same(threads.messages.update(two.id, thread_id=place, metadata={"seen": "yes"}).metadata, {"seen": "yes"})
    # Version 1.20 has no method for it.
    if hasattr(threads.messages, "delete"):
        same(threads.messages.delete(two.id, thread_id=place).deleted, True)
    else:
        client.delete(f"/threads/{place}/messages/{two.id}", cast_to=object)
    same([text(one) for one in threads.messages.list(place)], ["three", "one"])


def check_runs_and_steps():
    place = thread()
    made = threads.runs.create(place, assistant_id=assistant("weather"), metadata={"nth": "1"})
    same((made.status, made.metadata, made.expires_at - made.created_at), ("queued", {"nth": "1"}, 600))
    waiting = threads.runs.poll(made.id, thread_id=place)
    same(waiting.status, "requires_action")
    (call,) = calls(waiting)
    same(call.function.name, "get_current_weather")
    answered = threads.runs.submit_tool_outputs(made.id, thread_id=place, tool_outputs=outputs(waiting))
    same(answered.required_action, None)
    done = threads.runs.poll(made.id, thread_id=place)
    same((done.status, done.expires_at), ("completed", None))
    steps = list(threads.runs.steps.list(made.id, thread_id=place, order="asc", limit=1))
    same([(one.type, one.status) for one in steps], [("tool_calls", "completed"), ("message_creation", "completed")])
    same(steps[0].step_details.tool_calls[0].function.output, "mild")
    for step in steps:
        same(threads.runs.steps.retrieve(step.id, thread_id=place, run_id=made.id), step)
    same(done.usage.total_tokens, sum(step.usage.total_tokens for step in steps))
    (said,) = threads.messages.list(place, run_id=made.id).data
    same((said.role, said.run_id), ("assistant", made.id))
    same(threads.runs.update(made.id, thread_id=place, metadata={"rated": "good"}).metadata, {"rated": "good"})
    same(threads.runs.retrieve(made.id, thread_id=place).metadata, {"rated": "good"})
    again = threads.runs.create_and_poll(thread_id=place, assistant_id=assistant("chat"))
    same([one.id for one in threads.runs.list(place, limit=1)], [again.id, made.id])


def check_poll_helpers():
    run = threads.create_and_run_poll(
        assistant_id=assistant("parallel"),
        thread={"messages": [{"role": "user", "content": "Weather?"}]},
    )
    same((run.status, len(calls(run))), ("requires_action", 3))
    done = threads.runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs(run))
    same(done.status, "completed")
    same(text(threads.messages.list(run.thread_id).data[0]), " | ".join(["get_current_weather said: mild"] * 3))
    queued = threads.create_and_run(assistant_id=assistant("chat"))
    same(queued.status, "queued")
    again = threads.runs.create_and_poll(
        thread_id=run.thread_id,
        assistant_id=assistant("chat"),
        additional_messages=[{"role": "user", "content": "And again"}],
        poll_interval_ms=20,
    )
    same(again.status, "completed")
    same(text(threads.messages.list(run.thread_id).data[0]), "You said: And again")


class Counting(OpenAI):
    """Keeps the methods of the requests it sends."""

    sent = []

    def request(self, cast_to, options, **more):
        self.sent.append(options.method.upper())
        return super().request(cast_to, options, **more)


def check_a_poll_helper_sends_one_request_for_each_wait():
    counter = Counting(max_retries=0)
    counting, sent = counter.beta.threads, counter.sent
    texts = {"service": {"type": "string"}, "version": {"type": "string"}}
    run_checks = {
        "type": "function",
        "function": {
            "name": "run_checks",
            "parameters": {"type": "object", "properties": texts, "required": list(texts)},
        },
    }
    done = counting.create_and_run_poll(assistant_id=assistant("auto", [run_checks]))
    same((done.status, sent), ("completed", ["POST", "GET"]))
    sent.clear()
    waiting = counting.create_and_run_poll(assistant_id=assistant("weather"))
    done = counting.runs.submit_tool_outputs_and_poll(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs(waiting)
    )
    same((done.status, sent), ("completed", ["POST", "GET", "POST", "GET"]))


class Heard(AssistantEventHandler):
    def __init__(self):
        super().__init__()
        self.heard = []
        self.text = ""
        self.arguments = ""

    def on_text_created(self, text):
        self.heard.append("text created")

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""

    def on_text_done(self, text):
        self.heard.append(f"text done {text.value}")

    def on_message_done(self, message):
        self.heard.append(f"message done {message.status}")

    def on_tool_call_created(self, tool_call):
        self.heard.append(f"tool call created {tool_call.type}")

    def on_tool_call_delta(self, delta, snapshot):
        self.arguments += delta.function.arguments or ""

    def on_tool_call_done(self, tool_call):
        self.heard.append(f"tool call done {tool_call.function.arguments}")

    def on_run_step_done(self, run_step):
        self.heard.append(f"step done {run_step.type}")

    def on_end(self):
        self.heard.append("end")


def check_event_handler_on_create_and_submit():
    place = thread()
    first = Heard()
    with threads.runs.stream(thread_id=place, assistant_id=assistant("spoken_calls"), event_handler=first) as stream:
        stream.until_done()
        waiting = stream.get_final_run()
        same([text(one) for one in stream.get_final_messages()], ["Let me look."])
        same([one.type for one in stream.get_final_run_steps()], ["message_creation", "tool_calls"])
    same(waiting.status, "requires_action")
    same((first.text, first.arguments), ("Let me look.", '{"location":"Oslo"}'))
    same(
        first.heard,
        [
            "text created",
            "text done Let me look.",
            "message done completed",
            "step done message_creation",
            "tool call created function",
            'tool call done {"location":"Oslo"}',
            "end",
        ],
    )
    second = Heard()
    with threads.runs.submit_tool_outputs_stream(
        thread_id=place, run_id=waiting.id, tool_outputs=outputs(waiting), event_handler=second
    ) as stream:
        same("".join(stream.text_deltas), "It is mild.")
        same(stream.get_final_run().status, "completed")
        same([text(one) for one in stream.get_final_messages()], ["It is mild."])
    same(second.heard[0], "step done tool_calls")
    same(second.heard[-1], "end")


def check_create_and_run_stream():
    names = []
    with threads.create_and_run_stream(assistant_id=assistant("weather")) as stream:
        for event in stream:
            names.append(event.event)
        same(stream.get_final_run().status, "requires_action")
    same(names[:4], ["thread.created", "thread.run.created", "thread.run.queued", "thread.run.in_progress"])
    same(names[-1], "thread.run.requires_action")


def check_bare_streams():
    place = thread()
    events = list(threads.runs.create(place, assistant_id=assistant("weather"), stream=True))
    run = events[-1].data
    same((events[-1].event, run.status), ("thread.run.requires_action", "requires_action"))
    after = [
        event.event
        for event in threads.runs.submit_tool_outputs(
            run.id, thread_id=place, tool_outputs=outputs(run), stream=True
        )
    ]
    same((after[0], after[-1]), ("thread.run.step.completed", "thread.run.completed"))
    names = [event.event for event in threads.create_and_run(assistant_id=assistant("chat"), stream=True)]
    same((names[0], names[-1]), ("thread.created", "thread.run.completed"))


def check_asynchronous_client():
    async def main():
        async with AsyncOpenAI(max_retries=0) as api:
            beta = api.beta.threads
            waiting = await beta.create_and_run_poll(assistant_id=assistant("weather"))
            same(waiting.status, "requires_action")
            async with beta.runs.submit_tool_outputs_stream(
                thread_id=waiting.thread_id,
                run_id=waiting.id,
                tool_outputs=outputs(waiting),
                event_handler=AsyncAssistantEventHandler(),
            ) as stream:
                said = [piece async for piece in stream.text_deltas]
                same((await stream.get_final_run()).status, "completed")
            same("".join(said), "The current weather in San Francisco, CA: mild")
            listed = [one.id async for one in beta.runs.list(waiting.thread_id, limit=1)]
            same(listed, [waiting.id])

    asyncio.run(main())


def check_older_name_of_the_stream_helper():
    with threads.runs.create_and_stream(thread_id=thread("hi"), assistant_id=assistant("chat")) as stream:
        same("".join(stream.text_deltas), "You said: hi")
        same(stream.get_final_run().status, "completed")


def check_asynchronous_helpers():
    async def main():
        async with AsyncOpenAI(max_retries=0) as api:
            runs = api.beta.threads.runs
            place = thread()
            made = await runs.create(place, assistant_id=assistant("weather"))
            waiting = await runs.poll(made.id, thread_id=place)
            same(waiting.status, "requires_action")
            done = await runs.submit_tool_outputs_and_poll(
                run_id=waiting.id, thread_id=place, tool_outputs=outputs(waiting)
            )
            same(done.status, "completed")
            again = await runs.create_and_poll(thread_id=place, assistant_id=assistant("chat"))
            same(again.status, "completed")
            for helper in (runs.stream, runs.create_and_stream):
                async with helper(thread_id=place, assistant_id=assistant("chat")) as stream:
                    same((await stream.get_final_run()).status, "completed")
            async with api.beta.threads.create_and_run_stream(assistant_id=assistant("weather")) as stream:
                names = [event.event async for event in stream]
            same((names[0], names[-1]), ("thread.created", "thread.run.requires_action"))

    asyncio.run(main())


def check_calls_of_worker_and_caller_in_one_round():
    run = threads.create_and_run_poll(assistant_id=assistant("mixed", [tool("run_checks"), tool("deploy")]))
    same([call.function.name for call in calls(run)], ["deploy"])
    with threads.runs.submit_tool_outputs_stream(
        thread_id=run.thread_id, run_id=run.id, tool_outputs=outputs(run, "shipped")
    ) as stream:
        same("".join(stream.text_deltas), "run_checks said: checkout is green | deploy said: shipped")


def check_how_runs_end():
    for script, status, reason in [
        ("incomplete:max_completion_tokens", "incomplete", "max_completion_tokens"),
        ("incomplete:content_filter", "incomplete", "content_filter"),
        ("refused", "failed", "server_error"),
    ]:
        if status == "incomplete" and not KNOWS_INCOMPLETE:
            last = list(threads.create_and_run(assistant_id=assistant(script), stream=True))[-1]
            same((last.event, last.data.status), ("thread.run.incomplete", "incomplete"))
            continue
        polled = threads.create_and_run_poll(assistant_id=assistant(script))
        with threads.create_and_run_stream(assistant_id=assistant(script)) as stream:
            streamed = stream.get_final_run()
        for run in (polled, streamed):
            same(run.status, status)
            same(run.incomplete_details.reason if status == "incomplete" else run.last_error.code, reason)


def check_cancelled():
    run = threads.create_and_run_poll(assistant_id=assistant("weather"))
    same(threads.runs.cancel(run.id, thread_id=run.thread_id).status, "cancelling")
    same(threads.runs.poll(run.id, thread_id=run.thread_id).status, "cancelled")
    refused(openai.BadRequestError, lambda: threads.runs.cancel(run.id, thread_id=run.thread_id))


def check_expired():
    run = threads.create_and_run_poll(assistant_id=assistant("weather"), extra_body={"expires_in": 1})
    deadline = time.monotonic() + 30
    while run.status == "requires_action" and time.monotonic() < deadline:
        time.sleep(0.1)
        run = threads.runs.retrieve(run.id, thread_id=run.thread_id)
    same(run.status, "expired")


def check_not_found():
    place = thread()
    run = threads.create_and_run_poll(assistant_id=assistant("weather"))
    for work in [
        lambda: assistants.retrieve("asst_none"),
        lambda: threads.retrieve("thread_none"),
        lambda: threads.messages.list("thread_none"),
        lambda: threads.messages.retrieve("msg_none", thread_id=place),
        lambda: threads.runs.retrieve(run.id, thread_id=place),
        lambda: threads.runs.steps.list(run.id, thread_id=place),
        lambda: threads.runs.create(place, assistant_id="asst_none"),
    ]:
        refused(openai.NotFoundError, work, status_code=404)


def check_bad_requests():
    place = thread()
    bad = openai.BadRequestError
    refused(
        bad,
        lambda: assistants.create(model="x", tools=[{"type": "code_interpreter"}]),
        param="tools[0].type",
        code="unsupported_parameter",
    )
    refused(bad, lambda: assistants.list(limit=101), param="limit", code="invalid_value")
    refused(
        bad,
        lambda: threads.create(extra_body={"mesages": []}),
        param="mesages",
        code="unknown_parameter",
    )
    run = threads.runs.create_and_poll(thread_id=place, assistant_id=assistant("parallel"))
    busy = refused(bad, lambda: threads.messages.create(place, role="user", content="x"))
    assert f"Can't add messages to {place} while a run {run.id} is active." in busy.message
    busy = refused(bad, lambda: threads.runs.create(place, assistant_id=run.assistant_id))
    assert f"Thread {place} already has an active run {run.id}." in busy.message
    some = refused(
        bad,
        lambda: threads.runs.submit_tool_outputs(run.id, thread_id=place, tool_outputs=outputs(run)[:1]),
    )
    assert "Expected tool outputs for call_ids" in some.message
    threads.runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=place, tool_outputs=outputs(run))
    late = refused(
        bad,
        lambda: threads.runs.submit_tool_outputs(run.id, thread_id=place, tool_outputs=outputs(run)),
    )
    assert 'Runs in status "completed" do not accept tool outputs.' in late.message


def check_the_first_documented_examples_are_refused_with_what_to_do_instead():
    bad = openai.BadRequestError
    tutor = refused(
        bad,
        lambda: assistants.create(
            name="Math Tutor",
            instructions="You are a personal math tutor. Write and run code to answer math questions.",
            tools=[{"type": "code_interpreter"}],
            model="gpt-4o",
        ),
        param="tools[0].type",
        code="unsupported_parameter",
    )
    analyst = refused(
        bad,
        lambda: assistants.create(
            name="Financial Analyst Assistant",
            instructions="You are an expert financial analyst. Use your knowledge base to answer questions.",
            model="gpt-4o",
            tools=[{"type": "file_search"}],
        ),
        param="tools[0].type",
        code="unsupported_parameter",
    )
    upload = refused(
        openai.NotFoundError,
        lambda: client.files.create(file=b"goog-10k", purpose="assistants"),
        code="unsupported_endpoint",
    )
    for failure in (tutor, analyst, upload):
        assert "function" in failure.message, failure.message
        assert "https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#" in failure.message, failure.message


def main():
    checks = {name: work for name, work in globals().items() if name.startswith("check_")}
    for name, work in checks.items():
        try:
            work()
            error = None
        except Exception:  # pylint: disable=broad-except
            error = traceback.format_exc()
        print(json.dumps({"name": name, "error": error}), flush=True)
    client.close()


if __name__ == "__main__":
    sys.exit(main())
