"""A Python program whose own function answers the model's calls, with streaming."""

import json

from openai import OpenAI

client = OpenAI()
TOOL = {
    "type": "function",
    "function": {
        "name": "stock",
        "description": "Pieces of an article in stock.",
        "parameters": {
            "type": "object",
            "properties": {"article": {"type": "string"}},
            "required": ["article"],
        },
    },
}


def stock(article: str) -> str:
    return f"{len(article)} pieces of {article}"


assistant = client.beta.assistants.create(model="scripted:auto", tools=[TOOL])
run = client.beta.threads.create_and_run_poll(
    assistant_id=assistant.id,
    thread={"messages": [{"role": "user", "content": "How many lamps are in stock?"}]},
)
while run.status == "requires_action":
    calls = run.required_action.submit_tool_outputs.tool_calls
    outputs = [
        {"tool_call_id": call.id, "output": stock(**json.loads(call.function.arguments))}
        for call in calls
    ]
    # All outputs of a round travel in one request. A lost reply is safe to repeat.
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs
    ) as stream:
        for text in stream.text_deltas:
            print(text, end="", flush=True)
    print()
    run = client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
print(run.status)
