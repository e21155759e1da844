// Command go-openai: github.com/sashabaranov/go-openai, which polls.
package main

import (
	"context"
	"errors"

	"durable-runs.invalid/clients/report"
	openai "github.com/sashabaranov/go-openai"
)

var ctx = context.Background()

func newClient() *openai.Client {
	config := openai.DefaultConfig(report.KEY)
	config.BaseURL = report.URL
	return openai.NewClientWithConfig(config)
}

var client = newClient()

func follow(run openai.Run) (openai.Run, error) {
	return report.Follow(run,
		func(run openai.Run) string { return string(run.Status) },
		func(run openai.Run) (openai.Run, error) { return client.RetrieveRun(ctx, run.ThreadID, run.ID) })
}

func start(assistant openai.Assistant) (openai.Run, error) {
	run, err := client.CreateThreadAndRun(ctx, openai.CreateThreadAndRunRequest{
		RunRequest: openai.RunRequest{AssistantID: assistant.ID},
		Thread: openai.ThreadRequest{
			Messages: []openai.ThreadMessage{{Role: openai.ThreadMessageRoleUser, Content: "Weather?"}},
		},
	})
	if err != nil {
		return run, err
	}
	return follow(run)
}

func assistantWith(tool openai.AssistantTool) (openai.Assistant, error) {
	return client.CreateAssistant(ctx, openai.AssistantRequest{
		Model: report.Calling,
		Tools: []openai.AssistantTool{tool},
	})
}

func submit(run openai.Run) error {
	if run.RequiredAction == nil {
		return report.ErrNotReached
	}
	var outputs []openai.ToolOutput
	for _, call := range run.RequiredAction.SubmitToolOutputs.ToolCalls {
		outputs = append(outputs, openai.ToolOutput{ToolCallID: call.ID, Output: report.Output})
	}
	run, err := client.SubmitToolOutputs(ctx, run.ThreadID, run.ID, openai.SubmitToolOutputsRequest{ToolOutputs: outputs})
	if err != nil {
		return err
	}
	if run, err = follow(run); err != nil {
		return err
	}
	return report.Same(run.Status, openai.RunStatusCompleted)
}

func pages() error {
	thread, err := client.CreateThread(ctx, openai.ThreadRequest{})
	if err != nil {
		return err
	}
	for _, content := range []string{"one", "two", "three"} {
		message := openai.MessageRequest{Role: "user", Content: content}
		if _, err := client.CreateMessage(ctx, thread.ID, message); err != nil {
			return err
		}
	}
	limit, order := 1, "asc"
	var after *string
	var texts []string
	for more := true; more; {
		page, err := client.ListMessage(ctx, thread.ID, &limit, &order, after, nil, nil)
		if err != nil {
			return err
		}
		for _, message := range page.Messages {
			texts = append(texts, message.Content[0].Text.Value)
		}
		after, more = page.LastID, page.HasMore
	}
	return report.Same(texts, []string{"one", "two", "three"})
}

func main() {
	var assistant openai.Assistant
	var run openai.Run
	report.Step("assistant", func() (err error) {
		assistant, err = assistantWith(openai.AssistantTool{
			Type:     openai.AssistantToolTypeFunction,
			Function: &openai.FunctionDefinition{Name: report.Function, Parameters: report.Parameters},
		})
		return err
	})
	report.Step("run", func() (err error) {
		if run, err = start(assistant); err != nil {
			return err
		}
		return report.Same(run.Status, openai.RunStatusRequiresAction)
	})
	report.Step("submit", func() error { return submit(run) })
	report.Step("message", func() error {
		list, err := client.ListMessage(ctx, run.ThreadID, nil, nil, nil, nil, nil)
		if err != nil {
			return err
		}
		return report.Same(list.Messages[0].Content[0].Text.Value, report.Answer)
	})
	for _, name := range []string{"stream", "silence", "dripping"} {
		report.Absent(name, "go-openai streams no runs")
	}
	report.Step("paging", pages)
	report.Step("cancel", func() error {
		waiting, err := start(assistant)
		if err != nil {
			return err
		}
		cancelling, err := client.CancelRun(ctx, waiting.ThreadID, waiting.ID)
		if err != nil {
			return err
		}
		cancelled, err := follow(cancelling)
		if err != nil {
			return err
		}
		return report.Same(cancelled.Status, openai.RunStatusCancelled)
	})
	report.Step("error", func() error {
		_, err := assistantWith(openai.AssistantTool{Type: openai.AssistantToolTypeCodeInterpreter})
		var refused *openai.APIError
		if !errors.As(err, &refused) {
			return err
		}
		return report.Same([]any{refused.HTTPStatusCode, refused.Code}, []any{400, "unsupported_parameter"})
	})
}
