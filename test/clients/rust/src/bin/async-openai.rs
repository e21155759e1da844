//! async-openai 0.41, the newest version that has the Assistants API (0.42 removed it).
// Its author marks the whole API as deprecated.
#![allow(deprecated)]

use async_openai::{
    config::OpenAIConfig,
    error::OpenAIError,
    traits::RequestOptionsBuilder,
    types::assistants::{
        AssistantObject, AssistantStreamEvent, AssistantTools, AssistantToolsFunction,
        CreateAssistantRequest, CreateMessageRequest, CreateMessageRequestContent, CreateRunRequest,
        CreateThreadRequest, FunctionObject, MessageContent, MessageDeltaContent, MessageObject, MessageRole,
        RunObject, RunStatus, SubmitToolOutputsRunRequest, ToolsOutputs,
    },
    Client,
};
use durable_runs_clients::{
    needed, parameters, said, same, step, variable, Outcome, ANSWER, CALLING, DRIPPING, FUNCTION, OUTPUT,
    SILENT, WORDS,
};
use futures::StreamExt;
use std::time::Duration;

type Api = Client<OpenAIConfig>;

fn message(content: &str) -> CreateMessageRequest {
    CreateMessageRequest {
        role: MessageRole::User,
        content: CreateMessageRequestContent::Content(content.into()),
        attachments: None,
        metadata: None,
    }
}

fn text_of(message: &MessageObject) -> String {
    let text = |part: &MessageContent| match part {
        MessageContent::Text(content) => content.text.value.clone(),
        _ => String::new(),
    };
    message.content.iter().map(text).collect()
}

async fn assistant_of(
    api: &Api,
    model: &str,
    tools: Vec<AssistantTools>,
) -> Result<AssistantObject, OpenAIError> {
    let request = CreateAssistantRequest {
        model: model.into(),
        tools: Some(tools),
        ..Default::default()
    };
    api.assistants().create(request).await
}

async fn follow(api: &Api, run: RunObject) -> Outcome<RunObject> {
    let mut run = run;
    while matches!(
        run.status,
        RunStatus::Queued | RunStatus::InProgress | RunStatus::Cancelling
    ) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        run = api.threads().runs(&run.thread_id).retrieve(&run.id).await?;
    }
    Ok(run)
}

async fn start(api: &Api, assistant: &AssistantObject) -> Outcome<RunObject> {
    let thread = CreateThreadRequest {
        messages: Some(vec![message("Weather?")]),
        ..Default::default()
    };
    let thread = api.threads().create(thread).await?;
    let request = CreateRunRequest {
        assistant_id: assistant.id.clone(),
        ..Default::default()
    };
    let run = api.threads().runs(&thread.id).create(request).await?;
    follow(api, run).await
}

async fn submit(api: &Api, run: &RunObject) -> Outcome<()> {
    let action = run.required_action.as_ref().ok_or("no required action")?;
    let output = |call: &async_openai::types::assistants::RunToolCallObject| ToolsOutputs {
        tool_call_id: Some(call.id.clone()),
        output: Some(OUTPUT.into()),
    };
    let tool_outputs = action.submit_tool_outputs.tool_calls.iter().map(output).collect();
    let request = SubmitToolOutputsRunRequest {
        tool_outputs,
        stream: None,
    };
    let run = api
        .threads()
        .runs(&run.thread_id)
        .submit_tool_outputs(&run.id, request)
        .await?;
    same(follow(api, run).await?.status, RunStatus::Completed)
}

async fn streamed(api: &Api, model: &str, expected: &str) -> Outcome<()> {
    let assistant = assistant_of(api, model, vec![]).await?;
    let thread = api.threads().create(CreateThreadRequest::default()).await?;
    let request = CreateRunRequest {
        assistant_id: assistant.id,
        ..Default::default()
    };
    let mut stream = api.threads().runs(&thread.id).create_stream(request).await?;
    let (mut text, mut completed) = (String::new(), false);
    while let Some(event) = stream.next().await {
        match event? {
            AssistantStreamEvent::ThreadMessageDelta(message) => {
                for part in message.delta.content.unwrap_or_default() {
                    if let MessageDeltaContent::Text(part) = part {
                        text += &part.text.and_then(|text| text.value).unwrap_or_default();
                    }
                }
            }
            AssistantStreamEvent::ThreadRunCompleted(_) => completed = true,
            _ => {}
        }
    }
    same((text.as_str(), completed), (expected, true))
}

async fn pages(api: &Api) -> Outcome<()> {
    let thread = api.threads().create(CreateThreadRequest::default()).await?;
    for content in ["one", "two", "three"] {
        api.threads()
            .messages(&thread.id)
            .create(message(content))
            .await?;
    }
    let (mut texts, mut after) = (Vec::new(), String::new());
    loop {
        let query = [("limit", "1"), ("order", "asc"), ("after", after.as_str())];
        let page = api.threads().messages(&thread.id).query(&query)?.list().await?;
        texts.extend(page.data.iter().map(text_of));
        after = page.last_id.unwrap_or_default();
        if !page.has_more {
            break;
        }
    }
    same(
        texts,
        vec!["one".to_string(), "two".to_string(), "three".to_string()],
    )
}

async fn refused(api: &Api) -> Outcome<()> {
    match assistant_of(api, CALLING, vec![AssistantTools::CodeInterpreter]).await {
        Err(OpenAIError::ApiError(error)) => same(
            (error.status_code.as_u16(), error.api_error.code.as_deref()),
            (400, Some("unsupported_parameter")),
        ),
        Err(error) => Err(error.into()),
        Ok(_) => Err("not refused".into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (url, key) = (variable("BASE_URL"), variable("API_KEY"));
    let config = OpenAIConfig::new().with_api_base(url).with_api_key(key);
    let api = Client::with_config(config);
    let function = FunctionObject {
        name: FUNCTION.into(),
        description: None,
        parameters: Some(parameters()),
        strict: None,
    };
    let tool = AssistantTools::Function(AssistantToolsFunction { function });

    let assistant = step("assistant", async {
        Ok(assistant_of(&api, CALLING, vec![tool]).await?)
    })
    .await;
    let run = step("run", async {
        let run = start(&api, needed(&assistant, "assistant")?).await?;
        same(&run.status, &RunStatus::RequiresAction)?;
        Ok(run)
    })
    .await;
    step("submit", async { submit(&api, needed(&run, "run")?).await }).await;
    step("message", async {
        let list = api
            .threads()
            .messages(&needed(&run, "run")?.thread_id)
            .list()
            .await?;
        same(list.data.first().map(text_of).as_deref(), Some(ANSWER))
    })
    .await;
    step("stream", streamed(&api, WORDS, &said(5))).await;
    step("silence", streamed(&api, SILENT, &said(2))).await;
    step("dripping", streamed(&api, DRIPPING, &said(21))).await;
    step("paging", pages(&api)).await;
    step("cancel", async {
        let run = start(&api, needed(&assistant, "assistant")?).await?;
        let run = api.threads().runs(&run.thread_id).cancel(&run.id).await?;
        same(follow(&api, run).await?.status, RunStatus::Cancelled)
    })
    .await;
    step("error", refused(&api)).await;
}
