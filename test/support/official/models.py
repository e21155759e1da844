"""Models through the official Python client: what the server of OPENAI_BASE_URL lists, as one line of JSON."""

import json
import sys

import openai
from openai import OpenAI

models = OpenAI(max_retries=0).models


def missing():
    try:
        models.retrieve("no-such-model")
    except openai.NotFoundError as error:
        return {"status": error.status_code, "code": error.code}
    raise AssertionError("not refused")


listed = list(models.list())
print(
    json.dumps(
        {
            "listed": [model.id for model in listed],
            "retrieved": [models.retrieve(model.id).to_dict() for model in listed],
            "missing": missing(),
        }
    )
)
sys.exit(0)
